"""Tests and intervals for few paired seeds and few datasets, and what their number allows.

Differences are of pairs: the same dataset, teacher and seed under two methods. Functions expect
finite numbers; what is missing is sorted out before (bench/analysis/comparison/blocks.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from distillation_bench.bench.metrics.order_statistics import midranks
from distillation_bench.bench.metrics.outcome import Array

ALPHA = 0.05
"""At most so large a p-value tells two methods apart, in every table and sentence."""

ENUMERATED = 20
"""Sums of so many differences with all their signs are formed one by one."""
GRID = 2**14
"""Sums of more are counted on a grid of so many steps, from the least to the largest."""


class Interval(NamedTuple):
    """A mean and the limits of its confidence interval; nan limits where n = 1 allows none."""

    mean: float
    low: float
    high: float


def paired_interval(differences: ArrayLike, level: float = 0.95) -> Interval:
    """Student's t interval of the mean of differences [n], n - 1 degrees of freedom."""
    values = _values(differences)
    mean, n = float(values.mean()), len(values)
    if n == 1:
        return Interval(mean, math.nan, math.nan)
    half = float(special.stdtrit(n - 1, (1 + level) / 2)) * float(values.std(ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half)


def effect_size(differences: ArrayLike) -> float:
    """Cohen's d_z, mean over standard deviation of differences [n], with Hedges' correction.

    The exact factor Γ(f/2) / (√(f/2) Γ((f-1)/2)), f = n - 1 (Hedges 1981). It needs n ≥ 3 and
    differences that differ: else nan.
    """
    values = _values(differences)
    freedom = len(values) - 1
    if freedom < 2 or np.ptp(values) <= tolerance(values):
        return math.nan
    factor = math.exp(math.lgamma(freedom / 2) - math.lgamma((freedom - 1) / 2))
    return float(factor / math.sqrt(freedom / 2) * values.mean() / values.std(ddof=1))


def probability_of_improvement(first: ArrayLike, second: ArrayLike) -> float:
    """How often a figure of the first [n] is above one of the second [m], of any seeds.

    Ties count half: Mann and Whitney's U / (n m), as in Agarwal et al. 2021 (arXiv 2108.13264).
    """
    values, others = _values(first), _values(second)
    n = len(values)
    # Of the first's ranks among all, what is not due to the first itself.
    above = midranks(np.concatenate((values, others)))[:n].sum() - n * (n + 1) / 2
    return float(above / (n * len(others)))


def sign_flip_p(differences: ArrayLike) -> float:
    """Two-sided p of the mean of differences [n] when their signs are flipped at random.

    It needs nothing but that a difference is as likely as its negative, which is so for two
    methods that are the same. All 2^n ways are counted. Beyond 20 differences they are counted on a
    grid: a test as exact, of differences rounded to 1/16,384 of the sum of their sizes.
    """
    values = _values(differences)
    if len(values) > ENUMERATED:
        return _counted_p(_on_grid(values))
    observed = abs(float(values.sum())) - tolerance(values)
    if observed <= 0:
        return 1.0
    # Every sum of both halves is a sum of one and one of the other: 2^(n/2) to sort, not 2^n.
    half = len(values) // 2
    low, high = np.sort(_sums(values[:half])), np.sort(_sums(values[half:]))
    extreme = len(low) * len(high) - int(np.searchsorted(low, observed - high).sum())
    return min(1.0, 2 * extreme / (len(low) * len(high)))


def _sums(values: Array) -> Array:
    """All sums [2^n] of values [n] with either sign."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate((sums - value, sums + value))
    return sums


def _on_grid(values: Array) -> Array:
    """Values [n] as whole numbers of steps: about GRID in the sum of their sizes."""
    total = float(np.abs(values).sum())
    return np.rint(values / total * GRID) if total else values


def _counted_p(steps: Array) -> float:
    """The sign-flip p of whole numbers [n]; their sum is small enough to count each sum below it.

    How often each sum of positive ones occurs is carried from number to number: the shift algorithm
    of Pagano and Tritchler (1983).
    """
    # From the smallest on, the sums stay few for long.
    sizes = np.sort(np.abs(steps)).astype(int)
    total, reached = int(sizes.sum()), 0
    shares = np.zeros(total + 1)
    shares[0] = 1.0
    for size in sizes:
        halves = shares[: reached + 1] / 2
        shares[: reached + 1] = halves
        shares[size : reached + size + 1] += halves
        reached += size
    positive = int(steps[steps > 0].sum())
    return min(1.0, 2 * float(shares[max(positive, total - positive) :].sum()))


def wilcoxon_p(differences: ArrayLike) -> float:
    """Two-sided p of Wilcoxon's signed-rank test of differences [n]; zeros are left out.

    All 2^n ways of signs are counted, ties too, which share ranks; beyond 127 differences ranks
    are rounded to the grid.
    """
    values = _values(differences)
    values = values[np.abs(values) > tolerance(values)]
    if not len(values):
        return 1.0
    # Twice, since shared ranks may be halves.
    ranks = 2 * np.sign(values) * midranks(_merged(np.abs(values)))
    return _counted_p(ranks if np.abs(ranks).sum() <= GRID else _on_grid(ranks))


def _merged(sizes: Array) -> Array:
    """Sizes [n] with those made equal that differ by rounding alone: 0.3 - 0.2 and 0.2 - 0.1."""
    order = sizes.argsort()
    steps = np.diff(sizes[order], prepend=0) > tolerance(sizes)
    merged = np.empty(len(sizes))
    merged[order] = steps.cumsum()
    return merged


def smallest_p(n: int) -> float:
    """That a two-sided sign-flip or Wilcoxon test of n pairs can give: 2^(1 - n), at most 1."""
    return min(1.0, 2.0 ** (1 - n))


def seeds_needed(comparisons: int, alpha: float = ALPHA) -> int:
    """Pairs with which the smallest p can reach alpha after Holm's correction."""
    return next(n for n in count(1) if comparisons * smallest_p(n) <= alpha)


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values in the order given; nan stays nan and is not counted.

    They bound the chance of even one false rejection among all of them (Holm 1979).
    """
    order = sorted((i for i, p in enumerate(ps) if not math.isnan(p)), key=lambda i: ps[i])
    adjusted, largest = [math.nan] * len(ps), 0.0
    for place, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - place) * ps[i]))
        adjusted[i] = largest
    return adjusted


def average_ranks(table: ArrayLike) -> Array:
    """Mean over rows of the ranks [k] of columns in a table [N, k]: 1 is the least, ties share."""
    ranks: Array = np.array([midranks(row) for row in _table(table)])
    return np.asarray(ranks.mean(axis=0))


def friedman_p(table: ArrayLike) -> float:
    """p of Friedman's test that columns of a table [N, k] have equal ranks; corrected for ties."""
    ranks = np.array([midranks(row) for row in _table(table)])
    rows, columns = ranks.shape
    spread = float(((ranks - (columns + 1) / 2) ** 2).sum())
    if spread == 0:
        return 1.0
    between = float(((ranks.mean(axis=0) - (columns + 1) / 2) ** 2).sum())
    statistic = (columns - 1) * rows**2 * between / spread
    return float(special.chdtrc(columns - 1, statistic))


def nemenyi_p(ranks: ArrayLike, rows: int) -> Array:
    """p [k, k] of each pair of average ranks [k] over so many rows, corrected for all pairs.

    By the studentized range with infinite degrees of freedom (Nemenyi 1963; Demšar 2006).
    """
    from scipy import stats

    values = _values(ranks)
    apart = np.abs(values[:, None] - values[None, :]) / _rank_error(len(values), rows)
    return np.asarray(stats.studentized_range.sf(apart * math.sqrt(2), len(values), np.inf))


def critical_difference(columns: int, rows: int, alpha: float = ALPHA) -> float:
    """Average ranks of k columns over N rows that are closer are not told apart by Nemenyi."""
    from scipy import stats

    quantile = float(stats.studentized_range.ppf(1 - alpha, columns, np.inf))
    return quantile / math.sqrt(2) * _rank_error(columns, rows)


def _rank_error(columns: int, rows: int) -> float:
    """Standard error of a difference of average ranks if all methods are the same."""
    return math.sqrt(columns * (columns + 1) / (6 * rows))


def _values(values: ArrayLike) -> Array:
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not array.size or not np.isfinite(array).all():
        raise ValueError("at least one number is needed, all of them finite, in one dimension")
    return array


def _table(values: ArrayLike) -> Array:
    array = np.asarray(values, np.float64)
    if array.ndim != 2 or not array.size or not np.isfinite(array).all():
        raise ValueError("a complete table of finite numbers, rows by columns, is needed")
    return array


def tolerance(values: Array) -> float:
    """Values or sums of them that differ by less are equal: rounding is no evidence."""
    return 1e-12 * float(np.abs(values).sum())
