"""The largest and the smallest entropy of class probabilities that lie in intervals.

The probabilities p [C] of an example have l ≤ p ≤ u and Σ p = 1, which has a solution if
Σ l ≤ 1 ≤ Σ u. Bounds are [N, C] in float64, entropies [N] in nats.
"""

from __future__ import annotations

import torch
from torch import Tensor

ENUMERATED = 15
"""The most classes for which the smallest entropy is found by enumeration."""
BISECTIONS = 60
TABLE = 2**18
"""Numbers in a table of the enumeration: more do not fit into the processor's cache."""
TOLERANCE = 1e-9
"""How far a coordinate may lie outside its interval by rounding."""


def entr(p: Tensor) -> Tensor:
    """Return −p ln p, 0 at 0."""
    value: Tensor = torch.special.entr(p)
    return value


def largest(lower: Tensor, upper: Tensor) -> Tensor:
    """Return the largest entropy: p_c = λ clipped to [l_c, u_c], with λ such that Σ p = 1.

    Entropy is concave, and no mass can move from a larger to a smaller probability. λ is found by
    bisection.
    """
    low, high = torch.zeros_like(lower[:, :1]), torch.ones_like(lower[:, :1])
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        short = lower.maximum(middle).minimum(upper).sum(-1, keepdim=True) < 1
        low, high = torch.where(short, middle, low), torch.where(short, high, middle)
    return entr(lower.maximum(high).minimum(upper)).sum(-1)


def smallest(lower: Tensor, upper: Tensor) -> Tensor:
    """Return the smallest entropy; beyond `ENUMERATED` classes, its `smallest_bound`.

    Entropy is concave, so it is smallest at a vertex, where all probabilities but one are at an end
    of their interval. All C 2^(C−1) candidates are tried: the choice of the ends is a knapsack
    problem, and sorting does not solve it, because an interval may lie within another.
    """
    classes = lower.shape[1]
    if classes > ENUMERATED:
        return smallest_bound(lower, upper)
    rows = max(1, TABLE >> classes)
    parts = zip(torch.split(lower, rows), torch.split(upper, rows), strict=True)
    return torch.cat([_smallest(*part) for part in parts])


def _smallest(lower: Tensor, upper: Tensor) -> Tensor:
    widths, gains = upper - lower, entr(upper) - entr(lower)
    mass, gain = _subset_sums(widths), _subset_sums(gains)
    # The mass that is left for the free class, if a set of classes is at the upper ends.
    left = 1 - lower.sum(-1, keepdim=True) - mass
    best = torch.full_like(lower[:, 0], torch.inf)
    for free in range(lower.shape[1]):
        rest, end = _without(left, free), widths[:, free, None]
        start = lower[:, free, None]
        value = _without(gain, free) + entr(start + rest.clamp(min=0)) - entr(start)
        possible = (rest >= -TOLERANCE) & (rest <= end + TOLERANCE)
        best = best.minimum(torch.where(possible, value, torch.inf).amin(-1))
    return best + entr(lower).sum(-1)


def _subset_sums(values: Tensor) -> Tensor:
    """Return the sums of all subsets of C values, [N, 2^C]; bit c of an index says that c is in."""
    sums = torch.zeros_like(values[:, :1])
    for value in torch.split(values, 1, dim=-1):
        sums = torch.cat([sums, sums + value], -1)
    return sums


def _without(sums: Tensor, member: int) -> Tensor:
    """Return the sums of the subsets without a member, [N, 2^(C−1)]."""
    return sums.view(len(sums), -1, 2, 2**member)[:, :, 0].flatten(1)


def smallest_bound(lower: Tensor, upper: Tensor) -> Tensor:
    """Return a lower bound of the smallest entropy, for any number of classes.

    On each interval −p ln p is at least its chord. The least sum of chords is a linear problem:
    the mass 1 − Σ l goes to classes in the order of the chords' slopes, as far as their widths
    allow. All of these but one end at a bound, where the chord is exact, so the bound is short of
    the smallest entropy by at most the distance of one chord from its curve.
    """
    widths = upper - lower
    slopes = (entr(upper) - entr(lower)) / widths.clamp(min=torch.finfo(lower.dtype).tiny)
    slopes, order = slopes.sort(-1)
    widths = widths.gather(-1, order)
    before = widths.cumsum(-1) - widths
    taken = (1 - lower.sum(-1, keepdim=True) - before).clamp(min=0).minimum(widths)
    return (entr(lower).sum(-1) + (slopes * taken).sum(-1)).clamp(min=0)
