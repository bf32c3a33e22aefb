"""Tables of students that are all the same: how often one is distinguishable from the best.

Which student is the best, which pairs are compared, and the correction for them are those of the
tables; that these take the same values from a run has a test of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from tests.simulation.null import NOISES, Rate, figures

from distillation_bench.bench.analysis.tables.entries import compare_with_best

SIZES = ((3, 8), (7, 10), (13, 12))
"""Students, and about as many seeds as their comparisons need."""
CHUNK = 200
"""Runs whose values are drawn at once."""


def daggers(runs: int, students: int, seeds: int, name: str = "normal") -> Rate:
    """Return how often a table separates a student from the best when none differs."""
    stream = np.random.default_rng([students, seeds, *name.encode()])
    rejected = 0
    for start in range(0, runs, CHUNK):
        for values in figures(stream, NOISES[name], (min(CHUNK, runs - start), seeds), students):
            ranked = values.mean(axis=0).argsort(kind="stable")
            labels = [f"m{student}" for student in ranked]
            # Ranked and without a dagger: shown as worse than the best.
            rejected += "no" in compare_with_best(values[:, ranked], labels)["level"].values()
    setting = f"{students} students, {seeds} seeds, {name}"
    return Rate("any told from the best of a table", setting, rejected / runs, runs, "≤ .05")


def everything(runs: int) -> Iterator[Rate]:
    """Yield the rows of the table."""
    for name in NOISES:
        for students, seeds in SIZES:
            yield daggers(runs, students, seeds, name)
