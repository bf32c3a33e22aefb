"""Runs in which all students are the same, and what `compare` says of them.

The whole way is taken, from values of a run to what is statistically distinguishable: pairing,
which comparisons are a family, its correction, means over seeds, and pooling.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from tests.simulation.null import ALPHA, NOISES, Rate, figures
from tests.simulation.runs import frames_of

from distillation_bench.bench.analysis.comparison import compare
from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.metrics.outcome import Array

SIZES = ((3, 8), (7, 10))
"""Students, and about as many seeds as all their pairs need."""
CHUNK = 20
"""Runs that are datasets of a larger one: comparisons on one dataset know nothing of others."""


def on_each_dataset(runs: int, students: int, seeds: int, name: str, pairs: str = "all") -> Rate:
    """Return how often any pair of a dataset is called distinguishable.

    Args:
        runs: datasets.
        students, seeds: of each.
        name: of the noise.
        pairs: "all" pairs; those with a "fixed" baseline; or those with the "best" student of the
            dataset. The best one is chosen from the results, so its tests err more often than
            their level says.
    """
    stream = np.random.default_rng([students, seeds, *name.encode()])
    rejected = 0
    for start in range(0, runs, CHUNK):
        chunk = min(CHUNK, runs - start)
        tables = figures(stream, NOISES[name], (chunk, seeds), students)
        rejected += _rejections(tables, pairs)
    family = {"all": "all pairs", "fixed": "a baseline", "best": "the best as baseline"}[pairs]
    setting = f"{students} students, {seeds} seeds, {name}"
    goal = "not kept" if pairs == "best" else "≤ .05"
    return Rate(f"compare: any distinguishable, {family}", setting, rejected / runs, runs, goal)


def _rejections(tables: Array, pairs: str) -> int:
    if pairs == "best":
        best = tables.mean(axis=1).argmin(axis=1)
        return sum(
            _on(frames_of(table[None]), f"m{i}") for table, i in zip(tables, best, strict=True)
        )
    return _on(frames_of(tables), "m0" if pairs == "fixed" else "")


def _on(results: Results, baseline: str) -> int:
    """Count the datasets on which any pair is distinguishable."""
    pairs = compare(results, baseline=baseline).pairs
    return int(pairs.loc[pairs["distinguishable"], "dataset"].nunique())


def together(runs: int, datasets: int, students: int = 4, seeds: int = 3) -> list[Rate]:
    """Return how often students are called distinguishable across and on these datasets."""
    stream = np.random.default_rng([datasets, students, seeds])
    rejections = dict.fromkeys(
        ("Friedman", "Nemenyi after it", "pairs of means", "pooled seeds"), 0
    )
    for _ in range(runs):
        tables = figures(stream, NOISES["normal"], (datasets, seeds), students)
        # Values of datasets differ in size.
        tables *= 10.0 ** stream.uniform(-2, 2, (datasets, 1, 1))
        comparison = compare(frames_of(tables))
        across = comparison.across
        assert across is not None
        differ = across.friedman <= ALPHA
        rejections["Friedman"] += differ
        rejections["Nemenyi after it"] += differ and bool(across.nemenyi.to_numpy().min() <= ALPHA)
        rejections["pairs of means"] += bool(across.pairs["distinguishable"].any())
        rejections["pooled seeds"] += bool(comparison.pooled["p_holm"].min() <= ALPHA)
    setting = f"{datasets} datasets, {students} students, {seeds} seeds"
    return [
        Rate(f"compare: any by {procedure}", setting, count / runs, runs, "≤ .05")
        for procedure, count in rejections.items()
    ]


def everything(runs: int) -> Iterator[Rate]:
    """Yield the rows of the table."""
    for name in NOISES:
        for students, seeds in SIZES:
            for pairs in ("all", "fixed"):
                yield on_each_dataset(runs, students, seeds, name, pairs)
    for students, seeds in SIZES:
        yield on_each_dataset(runs, students, seeds, "normal", "best")
    for datasets in (6, 10):
        yield from together(runs, datasets)
