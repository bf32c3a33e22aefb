"""Detection of out-of-distribution (OOD) inputs by a score that is high for them.

OOD examples are the positive class throughout. Scores may be infinite; a nan among them makes the
value nan. Equal scores are treated alike: no value depends on the order of the examples.

scikit-learn computes the curves and their areas. It is imported when it is first needed, since it
takes longer than all that a command does to plan a run.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distillation_bench.bench.metrics.arrays import NAN, Integers, as_float64
from distillation_bench.bench.metrics.outcome import Array

DETECTED_PERCENT = 95
"""Share of OOD examples that `fpr95` detects; whole per cent keep the threshold exact."""


def auroc(inside: ArrayLike, outside: ArrayLike) -> float:
    """Area under the ROC curve: P(outside > inside) + P(outside = inside) / 2, 0 to 1.

    Args:
        inside: scores [N] of in-distribution examples.
        outside: scores [M] of OOD examples.

    Raises:
        ValueError: an array is empty or not one-dimensional.
    """
    from sklearn.metrics import auc

    rates = _roc(inside, outside)
    return NAN if rates is None else float(auc(*rates))


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
    from sklearn.metrics import average_precision_score

    labelled = _labelled_ranks(inside, outside)
    return NAN if labelled is None else float(average_precision_score(*labelled))


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
    first, second = as_float64("inside", inside, 1), as_float64("outside", outside, 1)
    if np.isnan(first).any() or np.isnan(second).any():
        return NAN
    missed = len(second) * (100 - DETECTED_PERCENT) // 100
    threshold = np.partition(second, missed)[missed]
    return float((first >= threshold).mean())


def detection_rates(inside: ArrayLike, outside: ArrayLike, false_alarms: Array) -> Array:
    """Return the ROC curve: the share of OOD examples detected at each false alarm rate, [K].

    Each is taken at the lowest threshold that keeps the false alarm rate; between two thresholds
    the curve is linear.

    Args:
        inside: scores [N] of in-distribution examples.
        outside: scores [M] of OOD examples.
        false_alarms: shares [K] of in-distribution examples flagged, ascending, 0 to 1.
    """
    rates = _roc(inside, outside)
    if rates is None:
        return np.full(len(false_alarms), NAN)
    # Of thresholds with the same false alarm rate `interp` takes the last, which detects most.
    return np.asarray(np.interp(false_alarms, *rates), np.float64)


def _roc(inside: ArrayLike, outside: ArrayLike) -> tuple[Array, Array] | None:
    """Return the false alarm and detection rates at every threshold; None if a score is nan."""
    from sklearn.metrics import roc_curve

    labelled = _labelled_ranks(inside, outside)
    if labelled is None:
        return None
    false_alarms, detected, _ = roc_curve(*labelled, drop_intermediate=False)
    return false_alarms, detected


def _labelled_ranks(
    inside: ArrayLike, outside: ArrayLike
) -> tuple[NDArray[np.bool_], Integers] | None:
    """Return whether each example is OOD, and the rank of its score; None if a score is nan.

    Equal scores have equal ranks, and infinite ones a rank as well: scikit-learn refuses them.
    """
    first, second = as_float64("inside", inside, 1), as_float64("outside", outside, 1)
    scores = np.concatenate((first, second))
    if np.isnan(scores).any():
        return None
    return np.arange(len(scores)) >= len(first), np.unique(scores, return_inverse=True)[1]
