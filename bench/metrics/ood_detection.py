"""Detection of unfamiliar inputs by a score that is high for them.

Out-of-distribution (OOD) examples are the positives throughout. Scores may be infinite; a nan
among them makes the figure nan. Equal scores are never told apart: no figure depends on the order
of the examples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distillation_bench.bench.metrics.arrays import numbers
from distillation_bench.bench.metrics.order_statistics import midranks, tie_groups
from distillation_bench.bench.metrics.outcome import Array

NAN = float("nan")
# Share of OOD examples to detect, in percent: whole numbers keep the threshold exact.
DETECTED = 95


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

    k runs over the distinct scores from the highest; P_k and R_k are precision and recall when
    all scores of at least the k-th are flagged. There is no interpolation (Davis & Goadrich 2006
    say why). A detector without skill has M / (N + M) on average.

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
    found = np.add.reduceat((order >= n).astype(np.float64), starts)
    precision = found.cumsum() / sizes.cumsum()
    return float((found * precision).sum() / (len(pooled) - n))


def fpr95(inside: ArrayLike, outside: ArrayLike) -> float:
    """Share of in-distribution examples flagged when 95 % of the OOD examples are, 0 to 1.

    An example is flagged if its score is at least t, where t is the highest of the OOD scores
    that flags ⌈0.95 M⌉ or more of the M OOD examples. OOD is the positive class, as in OpenOOD
    (Yang et al. 2022); other papers take it the other way round.

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
    missed = m * (100 - DETECTED) // 100
    threshold = np.partition(scores, missed)[missed]
    return float((pooled[:n] >= threshold).mean())


def detected(inside: ArrayLike, outside: ArrayLike, false_alarms: Array) -> Array:
    """The ROC: shares of OOD examples found [K] at the least threshold that allows shares of
    false alarms [K]; between two thresholds on the line that joins them.

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
        """Of one side's examples, flagged at each distinct score from the highest, none first."""
        flagged = np.add.reduceat(side.astype(np.float64), starts).cumsum()
        return np.concatenate(([0.0], flagged / flagged[-1]))

    # Of thresholds with equally many false alarms `interp` takes the last, which finds most.
    found = np.interp(false_alarms, share(order < n), share(order >= n))
    return np.asarray(found, np.float64)


def _pool(inside: ArrayLike, outside: ArrayLike) -> tuple[Array, int]:
    """Both sets of scores in one array, the N of the inside first; and N."""
    first, second = numbers("inside", inside, 1), numbers("outside", outside, 1)
    return np.concatenate((first, second)), len(first)
