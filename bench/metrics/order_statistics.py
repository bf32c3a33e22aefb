"""Order statistics that do not depend on how equal values happen to be ordered."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from distillation_bench.bench.metrics.arrays import Integers, numbers
from distillation_bench.bench.metrics.outcome import Array


def tie_groups(ordered: Array) -> tuple[Integers, Integers]:
    """Where each run of equal values starts in a sorted array [N], and its length.

    nan equals nothing, so each nan is a run of its own.
    """
    begins = np.concatenate(([True], ordered[1:] != ordered[:-1]))
    starts = np.flatnonzero(begins)
    return starts, np.diff(starts, append=len(ordered))


def midranks(values: ArrayLike) -> Array:
    """Ranks 1..N of values [N]; equal values share the mean of their ranks.

    Raises:
        ValueError: the array is empty or not one-dimensional.
    """
    array = numbers("values", values, 1)
    order = array.argsort()
    starts, sizes = tie_groups(array[order])
    ranks = np.empty(len(array))
    ranks[order] = np.repeat(starts + (sizes + 1) / 2, sizes)
    return ranks


def averaged_over_ties(keys: Array, values: Array) -> tuple[Array, Array]:
    """Keys [N] in ascending order and the values [N] beside them, equal keys sharing their mean.

    It is the expectation of the sorted values over a random order within ties.
    """
    order = keys.argsort()
    keys = keys[order]
    starts, sizes = tie_groups(keys)
    means = np.add.reduceat(values[order], starts) / sizes
    return keys, np.repeat(means, sizes)
