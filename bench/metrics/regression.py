"""Errors of point predictions, and scores of equal mixtures of S Gaussians at N examples.

A nan in the input makes a figure nan. A component without variance is a point mass.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from distillation_bench.bench.metrics.arrays import (
    equal_shapes,
    numbers,
    require_shape,
    variances_of,
)
from distillation_bench.bench.metrics.ood_detection import NAN
from distillation_bench.bench.metrics.outcome import Array


def rmse(mean: ArrayLike, targets: ArrayLike) -> float:
    """Root mean squared error, in the unit of the targets.

    Args:
        mean: predictions [N].
        targets: [N].

    Raises:
        ValueError: empty input, or shapes that differ.
    """
    predicted, truth = equal_shapes(mean, targets, 1)
    return float(np.sqrt(np.square(predicted - truth).mean()))


def mae(mean: ArrayLike, targets: ArrayLike) -> float:
    """Mean absolute error, in the unit of the targets.

    Args:
        mean: predictions [N].
        targets: [N].

    Raises:
        ValueError: empty input, or shapes that differ.
    """
    predicted, truth = equal_shapes(mean, targets, 1)
    return float(np.abs(predicted - truth).mean())


def crps_mixture(means: ArrayLike, variances: ArrayLike, targets: ArrayLike) -> float:
    """Continuous ranked probability score of the mixture, in the unit of the targets.

    E|X − y| − E|X − X'| / 2 with X, X' from the mixture, averaged over examples; in closed form
    (Grimit et al. 2006). It is the absolute error if every component is the same point mass.
    O(S² N) time, O(S N) memory.

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
    # The other pairs are symmetric: one row against all later ones.
    for i in range(heads - 1):
        later = slice(i + 1, None)
        gap, spread = mean[i] - mean[later], variance[i] + variance[later]
        among += 2 * _absolute_moment(gap, spread).sum()
    return float(to_target - among / (2 * heads * mean.size))


def coverage(means: ArrayLike, variances: ArrayLike, targets: ArrayLike, level: float) -> float:
    """Share of targets within the mixture's central interval of a level, 0 to 1.

    A target is within if the mixture's distribution function there lies in
    [(1 − level)/2, (1 + level)/2]. At a point mass the function counts half of the jump, so that a
    sure and right prediction covers its target.

    Args:
        means, variances: of the components [S, N].
        targets: [N].
        level: nominal coverage, above 0 and below 1.

    Raises:
        ValueError: empty input, shapes that do not match, a negative variance, or a level outside
            (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    mean, variance, truth = _mixture(means, variances, targets)
    below = 0.5 * (1 + _erf(_standardised(truth - mean, np.sqrt(variance)))).mean(0)
    if np.isnan(below).any():
        return NAN
    tail = (1 - level) / 2
    return float(((below >= tail) & (below <= 1 - tail)).mean())


def share_at_bounds(variances: ArrayLike, log_limit: float) -> float:
    """Share of variances whose logarithm is at ±`log_limit` or beyond, 0 to 1.

    Args:
        variances: of the components [S, N].
        log_limit: the bound; inf: there is none.

    Raises:
        ValueError: empty input, not a table, or a negative variance.
    """
    values = numbers("variances", variances, 2)
    if np.isnan(values).any():
        return NAN
    with np.errstate(divide="ignore"):
        logs = np.abs(np.log(variances_of("variances", values, values.shape)))
    # The exponential and its logarithm round.
    return float((logs >= log_limit * (1 - 1e-9)).mean())


def _mixture(
    means: ArrayLike, variances: ArrayLike, targets: ArrayLike
) -> tuple[Array, Array, Array]:
    mean, truth = numbers("means", means, 2), numbers("targets", targets, 1)
    require_shape("targets", truth, mean.shape[1:])
    return mean, variances_of("variances", variances, mean.shape), truth


def _standardised(gap: Array, deviation: Array) -> Array:
    """gap / deviation; 0 at the place of a point mass, infinite elsewhere."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = gap / deviation
    return np.where((gap == 0) & (deviation == 0), 0.0, ratio)


def _absolute_moment(mean: Array, variance: Array) -> Array:
    """E|X| of X ~ N(mean, variance): 2 σ φ(μ/σ) + μ (2 Φ(μ/σ) − 1)."""
    deviation = np.sqrt(variance)
    ratio = _standardised(mean, deviation)
    density = np.exp(-0.5 * ratio * ratio)
    moment: Array = np.sqrt(2 / np.pi) * deviation * density + mean * _erf(ratio)
    return moment


def _erf(ratio: Array) -> Array:
    """erf(x/√2) = 2 Φ(x) − 1, by torch: it is there wherever predictions are made."""
    import torch

    values: Array = torch.erf(torch.from_numpy(np.ascontiguousarray(ratio)) / 2**0.5).numpy()
    return values
