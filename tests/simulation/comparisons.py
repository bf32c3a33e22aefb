"""Runs in which all students are the same, and what `compare` says of them.

The whole way is taken, from figures of a run to what is told apart: pairing, which comparisons are
a family, its correction, means over seeds, and pooling.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from tests.simulation.null import ALPHA, NOISES, Rate, figures
from tests.simulation.runs import results_of

from distillation_bench.bench.analysis.comparison.method_comparison import compare
from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.metrics.outcome import Array

SIZES = ((3, 8), (7, 10))
"""Students, and about as many seeds as all their pairs need."""
CHUNK = 20
"""Runs that are datasets of a larger one: comparisons on one dataset know nothing of others."""


def on_each_dataset(runs: int, students: int, seeds: int, name: str, what: str = "all") -> Rate:
    """How often any pair of a dataset is told apart.

    Args:
        runs: datasets.
        students, seeds: of each.
        name: of the noise.
        what: "all" pairs; those with a "fixed" baseline; or with the "best" one of the dataset,
            which is found by looking, and whose tests therefore err more often than they say.
    """
    stream = np.random.default_rng([students, seeds, *name.encode()])
    told = 0
    for start in range(0, runs, CHUNK):
        some = min(CHUNK, runs - start)
        tables = figures(stream, NOISES[name], (some, seeds), students)
        told += _told(tables, what)
    family = {"all": "all pairs", "fixed": "a baseline", "best": "the best as baseline"}[what]
    setting = f"{students} students, {seeds} seeds, {name}"
    goal = "not kept" if what == "best" else "≤ .05"
    return Rate(f"compare: any told apart, {family}", setting, told / runs, runs, goal)


def _told(tables: Array, what: str) -> int:
    if what == "best":
        best = tables.mean(axis=1).argmin(axis=1)
        return sum(
            _on(results_of(table[None]), f"m{i}") for table, i in zip(tables, best, strict=True)
        )
    return _on(results_of(tables), "m0" if what == "fixed" else "")


def _on(results: Results, baseline: str) -> int:
    """Datasets on which any pair is told apart."""
    entries = compare(results, baseline=baseline).datasets
    return sum(any(pair.is_distinguishable for pair in entry.pairs) for entry in entries)


def together(runs: int, datasets: int, students: int = 4, seeds: int = 3) -> list[Rate]:
    """How often students are told apart across datasets, and on exactly these."""
    stream = np.random.default_rng([datasets, students, seeds])
    found = dict.fromkeys(("Friedman", "Nemenyi after it", "pairs of means", "pooled seeds"), 0)
    for _ in range(runs):
        tables = figures(stream, NOISES["normal"], (datasets, seeds), students)
        # Datasets are not of one size.
        tables *= 10.0 ** stream.uniform(-2, 2, (datasets, 1, 1))
        comparison = compare(results_of(tables))
        across = comparison.across
        assert across is not None
        differ = across.friedman <= ALPHA
        found["Friedman"] += differ
        found["Nemenyi after it"] += differ and bool(across.nemenyi.min() <= ALPHA)
        found["pairs of means"] += any(pair.is_distinguishable for pair in across.pairs)
        pooled = [test.sign_flip.corrected for test in comparison.pooled]
        found["pooled seeds"] += min(pooled) <= ALPHA
    setting = f"{datasets} datasets, {students} students, {seeds} seeds"
    return [
        Rate(f"compare: any by {what}", setting, count / runs, runs, "≤ .05")
        for what, count in found.items()
    ]


def everything(runs: int) -> Iterator[Rate]:
    """Rows of the table."""
    for name in NOISES:
        for students, seeds in SIZES:
            for what in ("all", "fixed"):
                yield on_each_dataset(runs, students, seeds, name, what)
    for students, seeds in SIZES:
        yield on_each_dataset(runs, students, seeds, "normal", "best")
    for datasets in (6, 10):
        yield from together(runs, datasets)
