"""Detection of out-of-distribution (OOD) inputs by a score that is high for them.

OOD examples are the positive class throughout. Scores may be infinite; a nan among them makes the
value nan. Equal scores are treated alike: no value depends on the order of the examples.

scikit-learn computes the curves. It is imported when it is first needed, since it
takes longer than all that a command does to plan a run, and called once for all that is computed
from the same scores, since its checks take ten times as long as the curve of a thousand examples.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import ArrayLike

from distillation_bench.bench.metrics.arrays import NAN, as_float64
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
    rates = _roc(inside, outside)
    return NAN if rates is None else float(np.trapezoid(rates[1], rates[0]))


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
    rates = _roc(inside, outside)
    if rates is None:
        return NAN
    flagged, detected = rates[0][1:] * np.size(inside), rates[1][1:] * np.size(outside)
    return float((np.diff(rates[1]) * detected / (detected + flagged)).sum())


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
    first, second = as_float64("inside", inside, 1), as_float64("outside", outside, 1)
    return _roc_of_bytes(first.tobytes(), second.tobytes())


@functools.lru_cache(maxsize=8)
def _roc_of_bytes(inside: bytes, outside: bytes) -> tuple[Array, Array] | None:
    from sklearn import config_context
    from sklearn.metrics import roc_curve

    scores = np.frombuffer(inside + outside)
    if np.isnan(scores).any():
        return None
    # Equal scores have equal ranks, and infinite ones a rank as well: scikit-learn refuses them.
    ranks = np.unique(scores, return_inverse=True)[1]
    is_outside = np.arange(len(scores)) >= len(inside) // scores.itemsize
    with config_context(assume_finite=True, skip_parameter_validation=True):
        false_alarms, detected, _ = roc_curve(is_outside, ranks, drop_intermediate=False)
    return false_alarms, detected
