"""Detection of out-of-distribution (OOD) inputs by a score that is high for them.

OOD examples are the positive class throughout. Scores may be infinite; a nan among them makes the
value nan. Equal scores are treated alike: no value depends on the order of the examples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distillation_bench.bench.metrics.arrays import NAN, as_float64
from distillation_bench.bench.metrics.order_statistics import midranks, tie_groups
from distillation_bench.bench.metrics.outcome import Array

DETECTED_PERCENT = 95
"""Share of OOD examples that `fpr95` detects; whole per cent keep the threshold exact."""


def auroc(inside: ArrayLike, outside: ArrayLike) -> float:
    """Area under the ROC curve: P(outside > inside) + P(outside = inside) / 2, 0 to 1.

    Computed as the Mann-Whitney statistic from midranks (Hanley & McNeil 1982), in
    O((N + M) log(N + M)).

    Args:
        inside: scores [N] of in-distribution examples.
        outside: scores [M] of OOD examples.

    Raises:
        ValueError: an array is empty or not one-dimensional.
    """
    pooled, n = _pool(inside, outside)
    if np.isnan(pooled).any():
        return NAN
    m = len(pooled) - n
    wins = midranks(pooled)[n:].sum() - m * (m + 1) / 2
    return float(wins / (n * m))


def aupr(inside: ArrayLike, outside: ArrayLike) -> float:
    """Average precision Σ_k (R_k − R_{k−1}) P_k of detecting OOD examples, 0 to 1.

    k runs over the distinct scores from the highest; P_k and R_k are precision and recall if all
    scores of at least the k-th are flagged. There is no interpolation, which would be too
    optimistic (Davis & Goadrich 2006). A detector without skill has M / (N + M) on average.

    Args:
        inside: scores [N] of in-distribution examples.
        outside: scores [M] of OOD examples.

    Raises:
        ValueError: an array is empty or not one-dimensional.
    """
    pooled, n = _pool(inside, outside)
    if np.isnan(pooled).any():
        return NAN
    order = np.argsort(-pooled)
    starts, sizes = tie_groups(pooled[order])
    detected = np.add.reduceat((order >= n).astype(np.float64), starts)
    precision = detected.cumsum() / sizes.cumsum()
    return float((detected * precision).sum() / (len(pooled) - n))


def fpr95(inside: ArrayLike, outside: ArrayLike) -> float:
    """False positive rate at a true positive rate of 95 %, 0 to 1.

    This is the share of in-distribution examples whose score is at least t, where t is the highest
    OOD score that flags ⌈0.95 M⌉ or more of the M OOD examples. OOD is the positive class, as in
    OpenOOD (Yang et al. 2022); other papers take it the other way round.

    Args:
        inside: scores [N] of in-distribution examples.
        outside: scores [M] of OOD examples.

    Raises:
        ValueError: an array is empty or not one-dimensional.
    """
    pooled, n = _pool(inside, outside)
    if np.isnan(pooled).any():
        return NAN
    scores, m = pooled[n:], len(pooled) - n
    missed = m * (100 - DETECTED_PERCENT) // 100
    threshold = np.partition(scores, missed)[missed]
    return float((pooled[:n] >= threshold).mean())


def detection_rates(inside: ArrayLike, outside: ArrayLike, false_alarms: Array) -> Array:
    """Return the ROC curve: the share of OOD examples detected at each false alarm rate, [K].

    Each is taken at the lowest threshold that keeps the false alarm rate; between two thresholds
    the curve is linear.

    Args:
        inside: scores [N] of in-distribution examples.
        outside: scores [M] of OOD examples.
        false_alarms: shares [K] of in-distribution examples flagged, ascending, 0 to 1.
    """
    pooled, n = _pool(inside, outside)
    if np.isnan(pooled).any():
        return np.full(len(false_alarms), NAN)
    order = np.argsort(-pooled)
    starts, _ = tie_groups(pooled[order])

    def share(side: NDArray[np.bool_]) -> Array:
        """Share of a side's examples at or above each distinct score from the highest; 0 first."""
        flagged = np.add.reduceat(side.astype(np.float64), starts).cumsum()
        return np.concatenate(([0.0], flagged / flagged[-1]))

    # Of thresholds with the same false alarm rate `interp` takes the last, which detects most.
    rates = np.interp(false_alarms, share(order < n), share(order >= n))
    return np.asarray(rates, np.float64)


def _pool(inside: ArrayLike, outside: ArrayLike) -> tuple[Array, int]:
    """Return all scores in one array, those of the N in-distribution examples first, and N."""
    first, second = as_float64("inside", inside, 1), as_float64("outside", outside, 1)
    return np.concatenate((first, second)), len(first)
