"""Accuracy, calibration and selective prediction of class probabilities.

N examples, C classes; logarithms are natural. A nan in the input makes the value nan: a network
that diverged has no accuracy. No value depends on the order of the examples.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from distillation_bench.bench.metrics.arrays import (
    NAN,
    Integers,
    as_float64,
    class_targets,
    probability_table,
    require_shape,
    top_class,
)
from distillation_bench.bench.metrics.ood_detection import auroc
from distillation_bench.bench.metrics.order_statistics import averaged_over_ties
from distillation_bench.bench.metrics.outcome import Array

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.05, 20.0
FLAT = 1e-12
"""Slope of the NLL in 1/T, in nats, below which T is not moved any more.

1/T ranges over an interval of width 20, so no T within the bounds has an NLL that is lower by more
than 20 times this.
"""


def accuracy(probabilities: ArrayLike, targets: ArrayLike) -> float:
    """Share of examples whose most probable class is the target, 0 to 1.

    Of equally probable classes the first counts.

    Args:
        probabilities: [N, C]; any scores that order classes alike will do.
        targets: classes [N].

    Raises:
        ValueError: empty input, shapes that do not match, or targets outside [0, C).
    """
    _, correct = _top1(probabilities, targets)
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


def ece(probabilities: ArrayLike, targets: ArrayLike, bins: int = 15) -> float:
    """Expected calibration error of the top-1 class over bins of equal width, 0 to 1.

    Σ_b (n_b / N) |accuracy_b − confidence_b| over B bins ((b − 1)/B, b/B] of the highest
    probability (Guo et al. 2017); 0 belongs to the first bin.

    Args:
        probabilities: [N, C].
        targets: classes [N].
        bins: B.

    Raises:
        ValueError: empty input, probabilities outside [0, 1], shapes that do not match, targets
            outside [0, C), or no bins.
    """
    _require_bins(bins)
    confidence, correct = _top1(probability_table(probabilities), targets)
    inner_edges = np.linspace(0, 1, bins + 1)[1:-1]
    errors = np.bincount(np.searchsorted(inner_edges, confidence), weights=correct - confidence)
    return float(np.abs(errors).sum() / len(confidence))


def reliability(probabilities: ArrayLike, targets: ArrayLike, bins: int = 15) -> Array:
    """Reliability diagram of the top-1 class: the bins that `ece` sums over.

    Examples whose confidence is nan are left out.

    Args:
        probabilities: [N, C].
        targets: classes [N].
        bins: B.

    Returns:
        [3, B]: for each bin of the highest probability the number of examples, their mean
        confidence and their accuracy; the last two are nan in an empty bin.
    """
    confidence, correct = _top1(probability_table(probabilities), targets)
    finite = ~np.isnan(confidence)
    confidence, correct = confidence[finite], correct[finite]
    bin_of = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence)
    counts = np.bincount(bin_of, minlength=bins)
    sums = [np.bincount(bin_of, values, bins) for values in (confidence, correct)]
    with np.errstate(invalid="ignore"):
        return np.stack([counts, *(total / counts for total in sums)])


def adaptive_ece(probabilities: ArrayLike, targets: ArrayLike, bins: int = 15) -> float:
    """Expected calibration error of the top-1 class over bins of equal mass, 0 to 1.

    As `ece`, but the examples are sorted by confidence and cut into B bins whose sizes differ by at
    most one, the larger bins first (Nguyen & O'Connor 2015). Examples of equal confidence share
    their mean correctness, so that a cut between them does not depend on their order. Fewer than B
    examples get a bin each.

    Args:
        probabilities: [N, C].
        targets: classes [N].
        bins: B.

    Raises:
        ValueError: as `ece`.
    """
    _require_bins(bins)
    confidence, correct = averaged_over_ties(*_top1(probability_table(probabilities), targets))
    size, larger = divmod(len(confidence), bins)
    sizes = size + (np.arange(min(bins, len(confidence))) < larger)
    errors = np.add.reduceat(correct - confidence, sizes.cumsum() - sizes)
    return float(np.abs(errors).sum() / len(confidence))


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
    values, wrong = _uncertain_errors(uncertainty, probabilities, targets)
    if np.isnan(values).any():
        return NAN
    _, expected = averaged_over_ties(values, wrong)
    risk = expected.cumsum() / np.arange(1, len(expected) + 1)
    return float(risk.mean())


def temper(log_probabilities: ArrayLike, temperature: float) -> Array:
    """Apply a temperature: ln of p^(1/T), normalised over classes [N, C].

    Guo et al. 2017; Ashukha et al. 2020. A probability of 0 remains 0.

    Args:
        log_probabilities: ln p [N, C]; −inf for p = 0.
        temperature: T; nan gives nan.

    Raises:
        ValueError: empty input, not two-dimensional, or T infinite or not above 0.
    """
    if temperature <= 0 or np.isinf(temperature):
        raise ValueError(f"temperature must be above 0 and finite, got {temperature}")
    scaled = _shifted(as_float64("log_probabilities", log_probabilities, 2)) / temperature
    result: Array = scaled - np.log(np.exp(scaled).sum(1, keepdims=True))
    return result


def fit_temperature(log_probabilities: ArrayLike, targets: ArrayLike) -> float:
    """Return the temperature T in [0.05, 20] that minimises the NLL after `temper`.

    The NLL is convex in 1/T, so its slope changes sign once; Newton's method within a bracket finds
    where. Examples whose target has probability 0 are left out, as their NLL is infinite at every
    T. T is 1 if it has no effect (uniform predictions, no examples left), and nan if the input has
    nan or +inf. A T at a bound means that the optimum lies there or beyond.

    Args:
        log_probabilities: ln p [N, C]; −inf for p = 0.
        targets: classes [N].

    Raises:
        ValueError: empty input, shapes that do not match, or targets outside [0, C).
    """
    table = as_float64("log_probabilities", log_probabilities, 2)
    truth = class_targets(targets, *table.shape)
    if not (table < np.inf).all():  # also true where there is nan
        return NAN
    possible = table[np.arange(len(table)), truth] > -np.inf
    if not possible.any():
        return 1.0
    return 1 / _best_inverse(_NllSlope(table[possible], truth[possible]))


class _NllSlope:
    """First and second derivative of the mean tempered NLL with respect to b = 1/T.

    With p_b ∝ p^b they are E_{p_b}[ln p] − ln p_y and Var_{p_b}[ln p], averaged over examples.
    """

    def __init__(self, log_probabilities: Array, targets: Integers) -> None:
        self._shifted = _shifted(log_probabilities)
        self._target = self._shifted[np.arange(len(targets)), targets].mean()
        # Classes of probability 0 have weight 0, but 0 · −inf is nan.
        self._values = np.where(np.isneginf(self._shifted), 0.0, self._shifted)

    def __call__(self, inverse: float) -> tuple[float, float]:
        weights = np.exp(inverse * self._shifted)
        total = weights.sum(1)
        weighted = weights * self._values
        mean = weighted.sum(1) / total
        square = np.einsum("nc,nc->n", weighted, self._values) / total
        return float(mean.mean() - self._target), float((square - mean * mean).mean())


def _best_inverse(derivatives: Callable[[float], tuple[float, float]]) -> float:
    """Return the zero of the slope between 1 / HIGHEST and 1 / LOWEST, or the nearer bound.

    Args:
        derivatives: the slope, which rises, and its derivative at a point.
    """
    point, (slope, curvature) = 1.0, derivatives(1.0)
    if abs(slope) <= FLAT:
        return point
    low, high = 1 / HIGHEST_TEMPERATURE, 1 / LOWEST_TEMPERATURE
    bound = low if slope > 0 else high
    if derivatives(bound)[0] * slope >= 0:
        return bound
    for _ in range(200):
        low, high = (low, point) if slope > 0 else (point, high)
        next_point = point - slope / curvature if curvature > 0 else np.nan
        # If Newton's step leaves the bracket, halve the bracket.
        if not low < next_point < high:
            next_point = (low + high) / 2
        step, point = abs(next_point - point), next_point
        slope, curvature = derivatives(point)
        if abs(slope) <= FLAT or step <= 1e-14 * point:
            break
    return point


def _shifted(log_probabilities: Array) -> Array:
    """Subtract the maximum of each row, so that no exponential overflows; nan if all are −inf."""
    with np.errstate(invalid="ignore"):
        result: Array = log_probabilities - log_probabilities.max(1, keepdims=True)
    return result


def _require_bins(bins: int) -> None:
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")


def _top1(scores: ArrayLike, targets: ArrayLike) -> tuple[Array, Array]:
    """Return the top-1 score [N], and 1 where its class is the target, else 0 [N].

    Both are nan in rows with nan.
    """
    table = as_float64("probabilities", scores, 2)
    truth = class_targets(targets, *table.shape)
    confidence, classes = top_class(table)
    return confidence, np.where(np.isnan(confidence), np.nan, classes == truth)


def _uncertain_errors(
    uncertainty: ArrayLike, probabilities: ArrayLike, targets: ArrayLike
) -> tuple[Array, Array]:
    """Return the uncertainties [N], and 1 where the top-1 class is wrong, 0 or nan else [N]."""
    values = as_float64("uncertainty", uncertainty, 1)
    _, correct = _top1(probabilities, targets)
    require_shape("uncertainty", values, correct.shape)
    return values, 1 - correct
