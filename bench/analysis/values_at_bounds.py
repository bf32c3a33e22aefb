"""Temperatures and variances that end at a bound, on which metrics depend without showing it.

They are flags in results.csv (`FLAGS` in bench/metrics/registry.py), above 0 if a value is at its
bound.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

import pandas as pd

from distillation_bench.bench.analysis.chance_level import TEACHER
from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.common.text import counted

TEMPERED_METRICS = ("temperature", "nll_tempered", "ece_tempered")
"""Metrics that depend on the fitted temperature."""
BOUND_SIGN = "‡"
"""Marks a value if the temperature of at least one of its seeds is at a bound."""
BOUND_NOTE = (
    f"{BOUND_SIGN}: the temperature of at least one seed is at a bound of the fit, 0.05 or 20: "
    "the best one lies there or beyond."
)


def temperatures_at_bound(results: Results) -> frozenset[str]:
    """Return the ids of cells whose temperature is at a bound of its fit."""
    flags = results.flag("temperature_at_bound")
    return frozenset(flags["id"][flags["value"] > 0])


def describe_temperatures(
    metrics: Iterable[str], cells: Iterable[str], at_bound: Container[str]
) -> str:
    """Return in how many cells the temperature is at a bound; empty if no metric depends on it.

    Args:
        metrics: names of the metrics that are shown.
        cells: ids of the cells that are shown.
        at_bound: ids of cells whose temperature is at a bound.
    """
    shown = frozenset(cells)
    count = sum(cell in at_bound for cell in shown)
    if not count or not any(name in TEMPERED_METRICS for name in metrics):
        return ""
    cells = f"{count} of {counted(len(shown), 'cell')}"
    return f"in {cells} the temperature is at a bound of its fit, 0.05 or 20"


def describe_clamped_variances(
    results: Results, dataset: str, labels: Iterable[str] | None = None
) -> str:
    """Return whose variances were clamped on a dataset, by default of all labels; may be empty."""
    own = results.flag("variance_capped")
    # Every cell also has the share of its teacher's members.
    of_teacher = results.flag("teacher_variance_capped").assign(name="the teacher")
    shares = pd.concat([of_teacher, own[own["method"].ne(TEACHER)].assign(name=own["label"])])
    shares = shares[shares["dataset"].eq(dataset) & shares["value"].gt(0)]
    if labels is not None:
        shares = shares[shares["label"].isin(list(labels))]
    largest = shares.groupby("name", sort=False, observed=True)["value"].max()
    names = ", ".join(f"{name} (up to {100 * x:.2g} % of them)" for name, x in largest.items())
    return f"variances clamped to exp(±15) on some evaluation set: {names}" if names else ""
