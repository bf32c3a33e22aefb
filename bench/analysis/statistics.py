"""Tests and intervals for few paired seeds and few datasets, and what their number allows.

A family of tests is corrected by Holm's method (Holm 1979).

Differences are of pairs: the same dataset, teacher and seed under two methods. All functions raise
ValueError for numbers that are not finite; `pairing` leaves these out before.

SciPy is imported only where it is needed: `scipy.stats` takes half a second, its Wilcoxon test is
wrong with ties, its Friedman test refuses two methods, and its permutation test is slow.
"""

from __future__ import annotations

import math
from itertools import count
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from distillation_bench.bench.common.text import counted
from distillation_bench.bench.metrics.order_statistics import midranks
from distillation_bench.bench.metrics.outcome import Array

ALPHA = 0.05
"""The level of all tests: two methods differ if the corrected p-value is at most this large."""

ENUMERATED = 20
"""Up to this many differences, the sums with all combinations of signs are enumerated."""
GRID = 2**14
"""Beyond that number, sums are counted on a grid with this many steps over their range."""


class Interval(NamedTuple):
    """A mean with the limits of its confidence interval, which are nan for n = 1."""

    mean: float
    low: float
    high: float


def paired_interval(differences: ArrayLike, level: float = 0.95) -> Interval:
    """Return Student's t interval of the mean of differences [n], n - 1 degrees of freedom."""
    values = _finite(differences)
    mean, n = float(values.mean()), len(values)
    if n == 1:
        return Interval(mean, math.nan, math.nan)
    from scipy import special

    half = float(special.stdtrit(n - 1, (1 + level) / 2)) * float(values.std(ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half)


def effect_size(differences: ArrayLike) -> float:
    """Return Cohen's d_z of differences [n], mean over standard deviation, with Hedges' correction.

    The exact factor is Γ(f/2) / (√(f/2) Γ((f-1)/2)) with f = n - 1 (Hedges 1981). The result is nan
    for n < 3 and if all differences are equal.
    """
    values = _finite(differences)
    freedom = len(values) - 1
    if freedom < 2 or np.ptp(values) <= tolerance(values):
        return math.nan
    factor = math.exp(math.lgamma(freedom / 2) - math.lgamma((freedom - 1) / 2))
    return float(factor / math.sqrt(freedom / 2) * values.mean() / values.std(ddof=1))


def probability_of_improvement(first: ArrayLike, second: ArrayLike) -> float:
    """Return the probability that a first value [n] is above a second one [m], of any seeds.

    Ties count half: Mann and Whitney's U / (n m), as in Agarwal et al. 2021 (arXiv 2108.13264).
    """
    values, others = _finite(first), np.sort(_finite(second))
    below, at_most = (others.searchsorted(values, side) for side in ("left", "right"))
    return float((below + at_most).mean() / (2 * len(others)))


def sign_flip_p(differences: ArrayLike) -> float:
    """Return the two-sided p-value of the sign-flip test of the mean of differences [n].

    The test assumes only that a difference is as likely as its negative, as for two methods that
    are the same. All 2^n combinations of signs are counted. Beyond 20 differences they are counted
    on a grid, which is an exact test of differences rounded to 1/16,384 of the sum of their sizes.
    """
    values = _finite(differences)
    if len(values) > ENUMERATED:
        return _counted_p(_on_grid(values))
    observed = abs(float(values.sum())) - tolerance(values)
    if observed <= 0:
        return 1.0
    # Each sum is one of the first half plus one of the second: 2^(n/2) values to sort, not 2^n.
    half = len(values) // 2
    low, high = _sums(values[:half]), _sums(values[half:])
    extreme = len(low) * len(high) - int(np.searchsorted(low, observed - high).sum())
    return min(1.0, 2 * extreme / (len(low) * len(high)))


def _sums(values: Array) -> Array:
    """Return all sums [2^n] of values [n] with either sign, in ascending order."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate((sums - value, sums + value))
    return np.sort(sums)


def _on_grid(values: Array) -> Array:
    """Return values [n] as whole numbers of steps; the sum of their sizes is about GRID."""
    return np.rint(values / (float(np.abs(values).sum()) or 1.0) * GRID)


def _counted_p(steps: Array) -> float:
    """Return the sign-flip p-value of whole numbers [n] by counting how often each sum occurs.

    The counts are updated number by number: the shift algorithm of Pagano and Tritchler (1983).
    The sums of positive numbers are symmetric, so those up to the smaller observed one suffice.
    """
    # Beginning with the smallest numbers keeps the range of sums short.
    sizes = np.sort(np.abs(steps)).astype(int)
    positive = int(steps[steps > 0].sum())
    observed = min(positive, int(sizes.sum()) - positive)
    shares = np.zeros(observed + 1)
    shares[0] = 1.0
    for size, reached in zip(sizes, np.minimum(sizes.cumsum(), observed), strict=True):
        shares[: reached + 1] /= 2
        if size <= reached:
            shares[size : reached + 1] += shares[: reached - size + 1].copy()
    return min(1.0, 2 * float(shares.sum()))


def wilcoxon_p(differences: ArrayLike) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test of differences [n].

    Zeros are left out, and ties share ranks. All 2^n combinations of signs are counted; beyond 127
    differences ranks are rounded to the grid.
    """
    values = _finite(differences)
    values = values[np.abs(values) > tolerance(values)]
    if not len(values):
        return 1.0
    # Twice the ranks, since shared ranks may be halves.
    ranks = 2 * np.sign(values) * midranks(_merged(np.abs(values), tolerance(values)))
    return _counted_p(ranks if np.abs(ranks).sum() <= GRID else _on_grid(ranks))


def _merged(values: Array, apart: ArrayLike) -> Array:
    """Return values [n] as numbers, equal if only rounding separates them, as .3 - .2 and .2 - .1.

    Args:
        values: the values.
        apart: the difference that separates values, of all or of each.
    """
    order = values.argsort()
    steps = np.diff(values[order], prepend=-np.inf) > np.broadcast_to(apart, values.shape)[order]
    return steps.cumsum()[order.argsort()]


def mean_ranks(means: ArrayLike) -> Array:
    """Return the ranks of means [k], 1 for the least.

    Means share ranks if only rounding separates them, as those of the same values in another order.
    """
    values = _finite(means, 1)
    return midranks(_merged(values, 1e-12 * np.abs(values)))


def smallest_p(n: int) -> float:
    """Return 2^(1 - n), the smallest two-sided p of a sign-flip or Wilcoxon test of n pairs."""
    return min(1.0, 2.0 ** (1 - n))


# Families of tests


def holm(ps: ArrayLike) -> Array:
    """Return p-values [n] after Holm's correction, in the order given.

    They bound the probability of any false rejection among all of them. A nan stays nan and does
    not count as a test.
    """
    adjusted = np.array(ps, float)
    order = adjusted.argsort()[: np.isfinite(adjusted).sum()]
    steps = np.arange(len(order), 0, -1)
    adjusted[order] = np.maximum.accumulate(np.minimum(1.0, steps * adjusted[order]))
    return adjusted


def smallest_corrected_p(comparisons: int, n: int) -> float:
    """Return the smallest p-value of n pairs after Holm's correction over some comparisons."""
    return min(1.0, comparisons * smallest_p(n))


def can_reach_alpha(comparisons: int, n: int) -> bool:
    """Return whether a test of n pairs can pass the first step of Holm's correction."""
    return n > 0 and smallest_corrected_p(comparisons, n) <= ALPHA


def seeds_needed(comparisons: int) -> int:
    """Return the number of pairs with which the smallest corrected p-value can reach .05."""
    return next(n for n in count(1) if can_reach_alpha(comparisons, n))


# Datasets


def average_ranks(table: ArrayLike) -> Array:
    """Return ranks [k] of columns, 1 for the least, averaged over the rows of a table [N, k]."""
    return np.asarray(_ranks(table).mean(axis=0))


def friedman_p(table: ArrayLike) -> float:
    """Return the p-value of Friedman's test, corrected for ties, of columns of a table [N, k]."""
    ranks = _ranks(table)
    columns = ranks.shape[1]
    centred = ranks - (columns + 1) / 2
    spread = float((centred**2).sum())
    if spread == 0:
        return 1.0
    statistic = (columns - 1) * float((centred.sum(axis=0) ** 2).sum()) / spread
    from scipy import special

    return float(special.chdtrc(columns - 1, statistic))


def nemenyi_p(ranks: ArrayLike, rows: int) -> Array:
    """Return p-values [k, k] of Nemenyi's test for each pair of average ranks [k] over some rows.

    They follow from the studentized range with infinite degrees of freedom, and are corrected for
    the number of pairs (Nemenyi 1963; Demšar 2006).
    """
    from scipy.stats import studentized_range

    values = _finite(ranks)
    distances = np.abs(np.subtract.outer(values, values)) / _rank_error(len(values), rows)
    return np.asarray(studentized_range.sf(distances, len(values), np.inf))


def critical_difference(columns: int, rows: int) -> float:
    """Return the least difference of average ranks that Nemenyi's test can distinguish."""
    from scipy.stats import studentized_range

    return float(studentized_range.ppf(1 - ALPHA, columns, np.inf)) * _rank_error(columns, rows)


def _rank_error(columns: int, rows: int) -> float:
    """Return the standard error of an average rank if all columns are alike."""
    return math.sqrt(columns * (columns + 1) / (12 * rows))


def _finite(values: ArrayLike, dimensions: int = 1) -> Array:
    array = np.asarray(values, np.float64)
    if array.ndim != dimensions or not array.size or not np.isfinite(array).all():
        raise ValueError(f"finite numbers in {counted(dimensions, 'dimension')} are needed")
    return array


def _ranks(table: ArrayLike) -> Array:
    """Return the ranks of each row of a table."""
    return np.apply_along_axis(mean_ranks, 1, _finite(table, 2))


def tolerance(values: Array) -> float:
    """Return the difference up to which values or their sums are equal but for rounding."""
    return 1e-12 * float(np.abs(values).sum())
