"""Runs in which all methods are the same, and what the analysis makes of them.

A figure of a method is the seed's (its teacher and splits) plus the method's own noise, as in a
real run. Streams are fixed, so that the table is the same each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from bench.analysis.statistics import (
    average_ranks,
    friedman_p,
    holm,
    nemenyi_p,
    paired_interval,
    sign_flip_p,
    wilcoxon_p,
)
from bench.metrics.outcome import Array

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
    """How often something happened in so many runs."""

    what: str
    setting: str
    share: float
    runs: int
    goal: str

    @property
    def error(self) -> float:
        """Standard error of the share, at least that of the stated one."""
        return float(np.sqrt(max(self.share * (1 - self.share), 0.0475) / self.runs))


def figures(stream: np.random.Generator, noise: Noise, seeds: int, methods: int) -> Array:
    """One dataset's figures [seeds, methods] under the null."""
    teacher = TEACHER * stream.normal(size=(seeds, 1))
    return teacher + noise(stream, (seeds, methods))


def on_one_dataset(runs: int, seeds: int, name: str, methods: int = 4) -> list[Rate]:
    """Coverage of the interval and false positives of a pair; of any of the pairs after Holm."""
    stream = np.random.default_rng([seeds, *name.encode()])
    covered = flips = ranks = families = 0
    for _ in range(runs):
        table = figures(stream, NOISES[name], seeds, methods)
        differences = [table[:, i] - table[:, 0] for i in range(1, methods)]
        interval = paired_interval(differences[0])
        covered += interval.low <= 0 <= interval.high
        ps = [sign_flip_p(each) for each in differences]
        flips += ps[0] <= ALPHA
        ranks += wilcoxon_p(differences[0]) <= ALPHA
        families += min(holm(ps)) <= ALPHA
    setting = f"{seeds} seeds, {name}"
    return [
        Rate("95 % interval covers", setting, covered / runs, runs, ".93 to .97"),
        Rate("sign-flip, p ≤ .05", setting, flips / runs, runs, "≤ .05"),
        Rate("Wilcoxon, p ≤ .05", setting, ranks / runs, runs, "≤ .05"),
        Rate(f"any of {methods - 1} sign-flips, Holm", setting, families / runs, runs, "≤ .05"),
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
    """Coverage where it is not what is stated."""
    stream = np.random.default_rng([seeds, *name.encode()])
    covered = 0
    for _ in range(runs):
        interval = paired_interval(EXTREMES[name](stream, (seeds,)))
        covered += interval.low <= 0 <= interval.high
    return Rate("95 % interval covers", f"{seeds} seeds, {name}", covered / runs, runs, "not kept")


def everything(runs: int) -> Iterator[Rate]:
    """The whole table."""
    for name in NOISES:
        for seeds in (3, 5, 10):
            yield from on_one_dataset(runs, seeds, name)
    for name in EXTREMES:
        for seeds in (3, 5, 10):
            yield extreme(runs, seeds, name)
    for datasets in (5, 10, 20):
        yield from over_datasets(runs, datasets)
    yield from pooling(runs)
