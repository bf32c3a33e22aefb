"""Temperature scaling: the temperature that minimises the NLL, and its effect on probabilities."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from distillation_bench.bench.metrics.arrays import NAN, Integers, as_float64, class_targets
from distillation_bench.bench.metrics.outcome import Array

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.05, 20.0
FLAT = 1e-12
"""Slope of the NLL in 1/T, in nats, below which T is not moved any more.

1/T ranges over an interval of width 20, so no T within the bounds has an NLL that is lower by more
than 20 times this.
"""


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
