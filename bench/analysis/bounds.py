"""What figures depend on and don't show: temperatures and variances that end at a bound.

Flags are columns of results.csv (bench/metrics/registry.py): above 0 where it is so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from distillation_bench.bench.analysis.results import Slot, slot_of

TEMPERED = ("temperature", "nll_tempered", "ece_tempered")
"""Metrics that depend on the fitted temperature."""
SIGN = "‡"
"""Behind a figure whose temperature is at a bound, of a seed at least."""
AT_BOUND = (
    f"{SIGN}: the temperature of at least one seed is at a bound of the fit, 0.05 or 20: the best "
    "one lies there or beyond."
)

Row = Mapping[str, str]


def temperatures_at_bound(rows: Iterable[Row]) -> frozenset[Slot]:
    """Cells whose temperature is at a bound of its fit."""
    return frozenset(slot_of(row) for row in rows if _share(row, "temperature_at_bound") > 0)


def bound_words(metrics: Iterable[str], slots: Iterable[Slot], at_bound: frozenset[Slot]) -> str:
    """In how many cells a temperature is at a bound; empty where no metric goes by one or none is.

    Args:
        metrics: names of those that are shown.
        slots: cells that are shown.
        at_bound: those of all cells whose temperature is at a bound.
    """
    cells = frozenset(slots)
    bound = len(cells & at_bound)
    if not bound or not any(name in TEMPERED for name in metrics):
        return ""
    return f"in {bound} of {len(cells)} cells the temperature is at a bound of its fit, 0.05 or 20"


def clamped_words(rows: Sequence[Row], teachers: frozenset[str]) -> str:
    """Of one dataset, whose variances were clamped; empty if none were.

    Args:
        rows: of results.csv, of the dataset.
        teachers: labels of the teacher itself, whose members every row tells of.
    """
    shares: dict[str, list[float]] = {}
    for row in rows:
        for name, column in (
            ("the teacher", "teacher_variance_capped"),
            (row["label"], "variance_capped"),
        ):
            if name not in teachers and (share := _share(row, column)) > 0:
                shares.setdefault(name, []).append(share)
    if not shares:
        return ""
    found = ", ".join(f"{k} (up to {100 * max(each):.2g} % of them)" for k, each in shares.items())
    return f"variances clamped to exp(±15) on some evaluation set: {found}"


def _share(row: Row, column: str) -> float:
    """0 where it is not recorded."""
    return float(row.get(column) or 0.0)
