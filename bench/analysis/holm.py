"""Holm's correction of a family of tests, and what few pairs allow after it (Holm 1979)."""

from __future__ import annotations

from itertools import count

import numpy as np
from numpy.typing import ArrayLike

from distillation_bench.bench.analysis.statistics import ALPHA, smallest_p
from distillation_bench.bench.metrics.outcome import Array


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
