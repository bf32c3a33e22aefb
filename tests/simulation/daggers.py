"""Tables of students that are all the same: how often one is distinguishable from the best.

The whole way is taken, from figures of a run to daggers: which student is the best, which pairs
are compared, and the correction for them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from tests.simulation.null import NOISES, Rate, figures
from tests.simulation.runs import frames_of

from distillation_bench.bench.analysis.metric_info import metric_format
from distillation_bench.bench.analysis.tables.entries import make_entries

SIZES = ((3, 8), (7, 10), (13, 12))
"""Students, and about as many seeds as their comparisons need."""


def daggers(runs: int, students: int, seeds: int, name: str = "normal") -> Rate:
    """Return how often a table separates a student from the best when none differs."""
    stream = np.random.default_rng([students, seeds, *name.encode()])
    rejected = done = 0
    # Simulated runs are the datasets of a few large runs.
    while done < runs:
        chunk = min(200, runs - done)
        values = figures(stream, NOISES[name], (chunk, seeds), students)
        results = frames_of(values)
        entries = make_entries(results, results.planned, [metric_format(results.metric("nll"))])
        # Ranked and without a dagger: shown as worse than the best.
        rejected += entries["dataset"][entries["level"].eq("no")].nunique()
        done += chunk
    setting = f"{students} students, {seeds} seeds, {name}"
    return Rate("any told from the best of a table", setting, rejected / runs, runs, "≤ .05")


def everything(runs: int) -> Iterator[Rate]:
    """Yield the rows of the table."""
    for name in NOISES:
        for students, seeds in SIZES:
            yield daggers(runs, students, seeds, name)
