"""Order statistics that do not depend on the order of equal values."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from distillation_bench.bench.metrics.arrays import Integers, as_float64
from distillation_bench.bench.metrics.outcome import Array


def tie_groups(ordered: Array) -> tuple[Integers, Integers]:
    """Return the start and the length of each run of equal values in a sorted array [N].

    As nan does not equal itself, each nan is a run of its own.
    """
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    return starts, np.diff(starts, append=len(ordered))


def midranks(values: ArrayLike) -> Array:
    """Return the ranks 1 to N of values [N]; equal values share the mean of their ranks.

    Raises:
        ValueError: the array is empty or not one-dimensional.
    """
    array = as_float64("values", values, 1)
    order = array.argsort()
    starts, sizes = tie_groups(array[order])
    ranks = np.empty(len(array))
    ranks[order] = np.repeat(starts + (sizes + 1) / 2, sizes)
    return ranks


def averaged_over_ties(keys: Array, values: Array) -> tuple[Array, Array]:
    """Sort keys [N] and values [N] by key, and replace the values of equal keys by their mean.

    The values are then the expectation over a random order within ties.
    """
    order = keys.argsort()
    keys = keys[order]
    starts, sizes = tie_groups(keys)
    means = np.add.reduceat(values[order], starts) / sizes
    return keys, np.repeat(means, sizes)
