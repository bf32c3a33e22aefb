"""Runs in which all methods are the same, and what the analysis makes of them.

A figure of a method is the seed's (its teacher and splits) plus the method's own noise, as in a
real run. Streams are fixed, so that the table is the same each time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from distillation_bench.bench.analysis.statistics import (
    average_ranks,
    friedman_p,
    holm,
    nemenyi_p,
    paired_interval,
    sign_flip_p,
    wilcoxon_p,
)
from distillation_bench.bench.metrics.outcome import Array

ALPHA = 0.05
TEACHER = 3.0
"""Standard deviation between seeds, in those of a method's noise: why pairs are needed."""

Noise = Callable[[np.random.Generator, tuple[int, ...]], Array]
NOISES: dict[str, Noise] = {
    "normal": lambda stream, shape: stream.normal(size=shape),
    "heavy tails (t, 3 degrees)": lambda stream, shape: stream.standard_t(3, size=shape),
    "skewed (log-normal)": lambda stream, shape: stream.lognormal(sigma=0.5, size=shape),
}
EXTREMES: dict[str, Noise] = {
    "one method exponential, other exact": lambda stream, shape: stream.exponential(size=shape) - 1,
    "outliers (log-normal, skewness 6)": lambda stream, shape: (
        stream.lognormal(size=shape) - stream.lognormal(size=shape)
    ),
}
"""Differences of mean zero that are too much for any interval of a few seeds."""


class Rate(NamedTuple):
    """How often something happened in so many runs; 0 runs where it can't happen."""

    what: str
    setting: str
    share: float
    runs: int
    goal: str

    @property
    def error(self) -> float:
        """Standard error of the share, at least that of the stated one."""
        return math.sqrt(max(self.share * (1 - self.share), 0.0475) / self.runs)

    @property
    def text(self) -> str:
        """Return the text for a table."""
        return f"{self.share:.3f} ± {self.error:.3f}" if self.runs else "0"


def figures(
    stream: np.random.Generator, noise: Noise, seeds: tuple[int, ...], methods: int
) -> Array:
    """Return values [..., seeds, methods] of methods that do not differ."""
    teacher = TEACHER * stream.normal(size=(*seeds, 1))
    return teacher + noise(stream, (*seeds, methods))


def coverage(runs: int, seeds: int, name: str) -> Rate:
    """How often the interval holds the true difference of two methods, 0."""
    stream = np.random.default_rng([seeds, *name.encode()])
    tables = figures(stream, NOISES[name], (runs, seeds), 2)
    intervals = map(paired_interval, tables[..., 1] - tables[..., 0])
    share = sum(low <= 0 <= high for _, low, high in intervals) / runs
    goal = ".95" if name == "normal" else ".95 to .96"
    return Rate("95 % interval covers", f"{seeds} seeds, {name}", share, runs, goal)


def false_positives(runs: int, seeds: int, name: str, methods: int = 4) -> list[Rate]:
    """Of the tests of a pair; and of any of the pairs with a baseline, after Holm."""
    stream = np.random.default_rng([seeds, methods, *name.encode()])
    tables = figures(stream, NOISES[name], (runs, seeds), methods)
    differences = (tables[..., 1:] - tables[..., :1]).swapaxes(1, 2)
    ps = [[sign_flip_p(pair) for pair in of_run] for of_run in differences]
    p_values = {
        "sign-flip, p ≤ .05": [flips[0] for flips in ps],
        "Wilcoxon, p ≤ .05": [wilcoxon_p(of_run[0]) for of_run in differences],
        f"any of {methods - 1} sign-flips, Holm": [min(holm(flips)) for flips in ps],
    }
    setting = f"{seeds} seeds, {name}"
    return [
        Rate(test, setting, float(np.mean(np.array(values) <= ALPHA)), runs, "≤ .05")
        for test, values in p_values.items()
    ]


def over_datasets(runs: int, datasets: int, methods: int = 4) -> list[Rate]:
    """False positives of Friedman's test, and of any pair by Nemenyi's where that found some."""
    stream = np.random.default_rng([datasets, methods])
    friedman = nemenyi = 0
    for _ in range(runs):
        means = stream.normal(size=(datasets, methods))
        if friedman_p(means) <= ALPHA:
            friedman += 1
            nemenyi += nemenyi_p(average_ranks(means), datasets).min() <= ALPHA
    setting = f"{datasets} datasets, {methods} methods"
    return [
        Rate("Friedman, p ≤ .05", setting, friedman / runs, runs, "≤ .05"),
        Rate("any pair by Nemenyi after Friedman", setting, nemenyi / runs, runs, "≤ .05"),
    ]


def pooling(runs: int, datasets: int = 6, seeds: int = 5) -> list[Rate]:
    """Methods that differ on each dataset, but on datasets at large on average not at all.

    Pooled, each seed counts as evidence on datasets at large, which it is not.
    """
    stream = np.random.default_rng([datasets, seeds])
    pooled = means = 0
    for _ in range(runs):
        differences = stream.normal(size=(datasets, 1)) + stream.normal(size=(datasets, seeds))
        pooled += sign_flip_p(differences.ravel()) <= ALPHA
        means += sign_flip_p(differences.mean(axis=1)) <= ALPHA
    setting = f"{datasets} datasets × {seeds} seeds that differ"
    return [
        Rate("sign-flip of pooled seeds", setting, pooled / runs, runs, "not kept"),
        Rate("sign-flip of datasets' means", setting, means / runs, runs, "≤ .05"),
    ]


def extreme(runs: int, seeds: int, name: str) -> Rate:
    """Return the coverage in cases where it is below the stated level."""
    stream = np.random.default_rng([seeds, *name.encode()])
    covered = 0
    for _ in range(runs):
        interval = paired_interval(EXTREMES[name](stream, (seeds,)))
        covered += interval.low <= 0 <= interval.high
    return Rate("95 % interval covers", f"{seeds} seeds, {name}", covered / runs, runs, "not kept")


def everything(runs: int) -> Iterator[Rate]:
    """Yield all rows of the table."""
    for name in NOISES:
        for seeds in (3, 5, 10):
            yield coverage(runs, seeds, name)
        for seeds in (3, 5):
            # The smallest p is .25 and .0625.
            yield Rate("any test, p ≤ .05", f"{seeds} seeds, {name}", 0.0, 0, "impossible")
        for seeds in (6, 10):
            yield from false_positives(runs, seeds, name)
    for name in EXTREMES:
        for seeds in (3, 5, 10):
            yield extreme(runs, seeds, name)
    for datasets in (5, 10, 20):
        yield from over_datasets(runs, datasets)
    yield from pooling(runs)
