"""Accuracy, proper scores and selective prediction of class probabilities.

N examples, C classes; logarithms are natural. A nan in the input makes the value nan: a network
that diverged has no accuracy. No value depends on the order of the examples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from distillation_bench.bench.metrics.arrays import (
    NAN,
    as_float64,
    class_targets,
    probability_table,
    require_shape,
    top1_correctness,
)
from distillation_bench.bench.metrics.ood_detection import auroc
from distillation_bench.bench.metrics.order_statistics import averaged_over_ties
from distillation_bench.bench.metrics.outcome import Array


def accuracy(probabilities: ArrayLike, targets: ArrayLike) -> float:
    """Share of examples whose most probable class is the target, 0 to 1.

    Of equally probable classes the first counts.

    Args:
        probabilities: [N, C]; any scores that order classes alike will do.
        targets: classes [N].

    Raises:
        ValueError: empty input, shapes that do not match, or targets outside [0, C).
    """
    _, correct = top1_correctness(probabilities, targets)
    return float(correct.mean())


def brier(probabilities: ArrayLike, targets: ArrayLike) -> float:
    """Squared error summed over classes: mean of Σ_c (p_c − y_c)², 0 to 2 (Brier 1950).

    Args:
        probabilities: [N, C].
        targets: classes [N].

    Raises:
        ValueError: empty input, probabilities outside [0, 1], shapes that do not match, or
            targets outside [0, C).
    """
    table = probability_table(probabilities)
    truth = class_targets(targets, *table.shape)
    # Σ p² − 2 p_y + 1 would need no copy, but loses the digits of a small error.
    error = table.copy()
    error[np.arange(len(error)), truth] -= 1
    return float((error * error).sum() / len(error))


def nll(log_likelihood: ArrayLike) -> float:
    """Negative log-likelihood −mean ln p(target), in nats; inf if a target had probability 0.

    Args:
        log_likelihood: ln p(target) [N].

    Raises:
        ValueError: the array is empty or not one-dimensional.
    """
    return float(-as_float64("log_likelihood", log_likelihood, 1).mean())


def misclassification_auroc(
    uncertainty: ArrayLike, probabilities: ArrayLike, targets: ArrayLike
) -> float:
    """Probability that a misclassified example is more uncertain than a correct one, 0 to 1.

    Ties count half (Hendrycks & Gimpel 2017). It is nan if there are no errors, or only errors.

    Args:
        uncertainty: [N], high where an error is likely.
        probabilities: [N, C]; any scores that order classes alike will do.
        targets: classes [N].

    Raises:
        ValueError: empty input, shapes that do not match, or targets outside [0, C).
    """
    values, wrong = _uncertain_errors(uncertainty, probabilities, targets)
    # nan marks an example that is neither correct nor wrong.
    if np.isnan(wrong).any() or wrong.min() == wrong.max():
        return NAN
    return auroc(values[wrong == 0], values[wrong == 1])


def aurc(uncertainty: ArrayLike, probabilities: ArrayLike, targets: ArrayLike) -> float:
    """Area under the risk-coverage curve, 0 to 1, lower is better (Geifman et al. 2019).

    (1/N) Σ_k r_k, where r_k is the share of errors among the k least uncertain examples. Equal
    uncertainties count in expectation over a random order of them.

    Args:
        uncertainty: [N], high where an error is likely.
        probabilities: [N, C]; any scores that order classes alike will do.
        targets: classes [N].

    Raises:
        ValueError: empty input, shapes that do not match, or targets outside [0, C).
    """
    return float(risks(uncertainty, probabilities, targets).mean())


def risks(uncertainty: ArrayLike, probabilities: ArrayLike, targets: ArrayLike) -> Array:
    """Risk-coverage curve [N]: the share of errors among the k least uncertain, for k = 1, …, N.

    The arguments and errors are those of `aurc`, which is its mean; it is nan if an uncertainty is.
    """
    values, wrong = _uncertain_errors(uncertainty, probabilities, targets)
    if np.isnan(values).any():
        return np.full(len(values), NAN)
    _, expected = averaged_over_ties(values, wrong)
    curve: Array = expected.cumsum() / np.arange(1, len(expected) + 1)
    return curve


def _uncertain_errors(
    uncertainty: ArrayLike, probabilities: ArrayLike, targets: ArrayLike
) -> tuple[Array, Array]:
    """Return the uncertainties [N], and 1 where the top-1 class is wrong, 0 or nan else [N]."""
    values = as_float64("uncertainty", uncertainty, 1)
    _, correct = top1_correctness(probabilities, targets)
    require_shape("uncertainty", values, correct.shape)
    return values, 1 - correct
