"""Holm's correction of a family of tests, and what few pairs allow after it (Holm 1979)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import count

from distillation_bench.bench.analysis.statistics import ALPHA, smallest_p


def holm(ps: Sequence[float]) -> list[float]:
    """Return p-values after Holm's correction, in the order given.

    They bound the probability of any false rejection among all of them. A nan stays nan and does
    not count as a test.
    """
    order = sorted((i for i, p in enumerate(ps) if not math.isnan(p)), key=lambda i: ps[i])
    adjusted, largest = [math.nan] * len(ps), 0.0
    for step, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - step) * ps[i]))
        adjusted[i] = largest
    return adjusted


def smallest_corrected_p(comparisons: int, n: int) -> float:
    """Return the smallest p-value of n pairs after Holm's correction over some comparisons."""
    return min(1.0, comparisons * smallest_p(n))


def can_reach_alpha(comparisons: int, n: int) -> bool:
    """Return whether a test of n pairs can pass the first step of Holm's correction."""
    return n > 0 and smallest_corrected_p(comparisons, n) <= ALPHA


def seeds_needed(comparisons: int, alpha: float = ALPHA) -> int:
    """Return the number of pairs with which the smallest corrected p-value can reach alpha."""
    return next(n for n in count(1) if comparisons * smallest_p(n) <= alpha)
