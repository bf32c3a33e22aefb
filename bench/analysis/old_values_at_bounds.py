"""Temperatures and variances that end at a bound, on which metrics depend without showing it.

They are flags in results.csv (`FLAGS` in bench/metrics/registry.py), above 0 if a value is at its
bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from distillation_bench.bench.storage.tables import CellKey, cell_key

TEMPERED_METRICS = ("temperature", "nll_tempered", "ece_tempered")
"""Metrics that depend on the fitted temperature."""
BOUND_SIGN = "‡"
"""Marks a value if the temperature of at least one of its seeds is at a bound."""
BOUND_NOTE = (
    f"{BOUND_SIGN}: the temperature of at least one seed is at a bound of the fit, 0.05 or 20: "
    "the best one lies there or beyond."
)

ResultRow = Mapping[str, str]


def temperatures_at_bound(rows: Iterable[ResultRow]) -> frozenset[CellKey]:
    """Return the cells whose temperature is at a bound of its fit, from rows of results.csv."""
    return frozenset(cell_key(row) for row in rows if _share(row, "temperature_at_bound") > 0)


def describe_temperatures(
    metrics: Iterable[str], cells: Iterable[CellKey], at_bound: frozenset[CellKey]
) -> str:
    """Return in how many cells the temperature is at a bound; empty if no metric depends on it.

    Args:
        metrics: names of the metrics that are shown.
        cells: cells that are shown.
        at_bound: cells whose temperature is at a bound.
    """
    shown = frozenset(cells)
    count = len(shown & at_bound)
    if not count or not any(name in TEMPERED_METRICS for name in metrics):
        return ""
    return f"in {count} of {len(shown)} cells the temperature is at a bound of its fit, 0.05 or 20"


def describe_clamped_variances(rows: Sequence[ResultRow], teachers: frozenset[str]) -> str:
    """Return whose variances were clamped on a dataset; empty if none were.

    Args:
        rows: rows of results.csv of the dataset.
        teachers: labels of the teacher itself; every row also has the share of its members.
    """
    shares: dict[str, list[float]] = {}
    for row in rows:
        columns = {"the teacher": "teacher_variance_capped", row["label"]: "variance_capped"}
        for name, column in columns.items():
            if name not in teachers and (share := _share(row, column)) > 0:
                shares.setdefault(name, []).append(share)
    if not shares:
        return ""
    names = ", ".join(f"{k} (up to {100 * max(own):.2g} % of them)" for k, own in shares.items())
    return f"variances clamped to exp(±15) on some evaluation set: {names}"


def _share(row: ResultRow, column: str) -> float:
    """Return a share; 0 if it is not recorded."""
    return float(row.get(column) or 0.0)
