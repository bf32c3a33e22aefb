"""Errors of point predictions, and scores of equal mixtures of S Gaussians at N examples.

A nan in the input makes the value nan. A component of variance 0 is a point mass.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from distillation_bench.bench.metrics.arrays import (
    NAN,
    as_float64,
    as_variances,
    require_shape,
    same_shape_arrays,
)
from distillation_bench.bench.metrics.outcome import Array


def rmse(mean: ArrayLike, targets: ArrayLike) -> float:
    """Root mean squared error, in the unit of the targets.

    Args:
        mean: predictions [N].
        targets: [N].

    Raises:
        ValueError: empty input, or shapes that differ.
    """
    predicted, truth = same_shape_arrays(mean, targets, 1)
    return float(np.sqrt(np.square(predicted - truth).mean()))


def mae(mean: ArrayLike, targets: ArrayLike) -> float:
    """Mean absolute error, in the unit of the targets.

    Args:
        mean: predictions [N].
        targets: [N].

    Raises:
        ValueError: empty input, or shapes that differ.
    """
    predicted, truth = same_shape_arrays(mean, targets, 1)
    return float(np.abs(predicted - truth).mean())


def crps_mixture(means: ArrayLike, variances: ArrayLike, targets: ArrayLike) -> float:
    """Continuous ranked probability score of the mixture, in the unit of the targets.

    E|X − y| − E|X − X'| / 2 with X, X' drawn from the mixture, averaged over examples, in closed
    form (Grimit et al. 2006). It is the absolute error if every component is the same point mass.
    It takes O(S² N) time and O(S N) memory.

    Args:
        means, variances: of the components [S, N].
        targets: [N].

    Raises:
        ValueError: empty input, shapes that do not match, or a negative variance.
    """
    mean, variance, truth = _mixture(means, variances, targets)
    heads = len(mean)
    to_target = _absolute_moment(truth - mean, variance).mean()
    among = _absolute_moment(np.zeros_like(mean), 2 * variance).sum()
    # Other pairs are symmetric: each component against all later ones counts twice.
    for i in range(heads - 1):
        later = slice(i + 1, None)
        difference, spread = mean[i] - mean[later], variance[i] + variance[later]
        among += 2 * _absolute_moment(difference, spread).sum()
    return float(to_target - among / (2 * heads * mean.size))


def coverage(means: ArrayLike, variances: ArrayLike, targets: ArrayLike, level: float) -> float:
    """Share of targets within the mixture's central interval of the given level, 0 to 1.

    A target is within the interval if the mixture's distribution function at the target lies in
    [(1 − level)/2, (1 + level)/2]. At a point mass half of the jump counts, so that a prediction
    that is certain and correct covers its target.

    Args:
        means, variances: of the components [S, N].
        targets: [N].
        level: nominal coverage, above 0 and below 1.

    Raises:
        ValueError: empty input, shapes that do not match, a negative variance, or a level outside
            (0, 1).
    """
    mean, variance, truth = _mixture(means, variances, targets)
    below = 0.5 * (1 + _erf(_standardised(truth - mean, np.sqrt(variance)))).mean(0)
    return share_within(below, level)


def share_within(below: ArrayLike, level: float) -> float:
    """Share of targets within the central interval of the given level, 0 to 1.

    Args:
        below: the distribution function at the targets [N].
        level: nominal coverage, above 0 and below 1.

    Raises:
        ValueError: empty input, or a level outside (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    values = as_float64("below", below, 1)
    if np.isnan(values).any():
        return NAN
    tail = (1 - level) / 2
    return float(((values >= tail) & (values <= 1 - tail)).mean())


def share_at_bounds(variances: ArrayLike, log_limit: float) -> float:
    """Share of variances whose logarithm is at ±`log_limit` or beyond, 0 to 1.

    Args:
        variances: of the components [S, N].
        log_limit: the bound; inf for no bound.

    Raises:
        ValueError: empty input, not two-dimensional, or a negative variance.
    """
    values = as_float64("variances", variances, 2)
    if np.isnan(values).any():
        return NAN
    with np.errstate(divide="ignore"):
        logs = np.abs(np.log(as_variances("variances", values, values.shape)))
    # The tolerance covers the rounding of the exponential and its logarithm.
    return float((logs >= log_limit * (1 - 1e-9)).mean())


def _mixture(
    means: ArrayLike, variances: ArrayLike, targets: ArrayLike
) -> tuple[Array, Array, Array]:
    mean, truth = as_float64("means", means, 2), as_float64("targets", targets, 1)
    require_shape("targets", truth, mean.shape[1:])
    return mean, as_variances("variances", variances, mean.shape), truth


def _standardised(difference: Array, deviation: Array) -> Array:
    """Return difference / deviation; for a point mass 0 where it lies, and infinite elsewhere."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = difference / deviation
    return np.where((difference == 0) & (deviation == 0), 0.0, ratio)


def _absolute_moment(mean: Array, variance: Array) -> Array:
    """Return E|X| of X ~ N(mean, variance): 2 σ φ(μ/σ) + μ (2 Φ(μ/σ) − 1)."""
    deviation = np.sqrt(variance)
    ratio = _standardised(mean, deviation)
    density = np.exp(-0.5 * ratio * ratio)
    moment: Array = np.sqrt(2 / np.pi) * deviation * density + mean * _erf(ratio)
    return moment


def _erf(ratio: Array) -> Array:
    """Return erf(x/√2) = 2 Φ(x) − 1, by torch, which is loaded wherever predictions are made."""
    import torch

    values: Array = torch.erf(torch.from_numpy(np.ascontiguousarray(ratio)) / 2**0.5).numpy()
    return values
