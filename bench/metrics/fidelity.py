"""How close a student is to its teacher on the same N examples.

Logarithms are natural. A nan in the input makes the value nan.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from distillation_bench.bench.metrics.arrays import (
    NAN,
    as_float64,
    as_variances,
    kl_divergence,
    same_shape_arrays,
    top_class,
)
from distillation_bench.bench.metrics.order_statistics import midranks
from distillation_bench.bench.metrics.outcome import Array

BINS = 50
"""Number of bins of the histograms of uncertainty, as in the original code."""


def kl_of_means(teacher_log: ArrayLike, student_log: ArrayLike) -> float:
    """Mean KL(teacher‖student) of the predictive distributions, in nats (Hinton et al. 2015).

    It is inf if the student gives probability 0 to a class that the teacher does not.

    Args:
        teacher_log, student_log: ln of the mean probabilities [N, C]; −inf for 0.

    Raises:
        ValueError: empty input, or shapes that differ.
    """
    return float(kl_divergence(*same_shape_arrays(teacher_log, student_log, 2)).mean())


def kl_of_gaussians(
    teacher_mean: ArrayLike,
    teacher_variance: ArrayLike,
    student_mean: ArrayLike,
    student_variance: ArrayLike,
) -> float:
    """Mean KL(teacher‖student) between Gaussians with these moments, in nats.

    ½ [ln(v_s / v_t) + (v_t + (m_t − m_s)²) / v_s − 1] per example. If a variance is 0: 0 if both
    are the same point mass, else inf. For mixtures pass the mean and variance of the mixture: the
    result is then the divergence between moment-matched Gaussians, not between the mixtures.

    Args:
        teacher_mean, teacher_variance, student_mean, student_variance: [N].

    Raises:
        ValueError: empty input, shapes that differ, or a negative variance.
    """
    mean, other = same_shape_arrays(teacher_mean, student_mean, 1)
    variance = as_variances("teacher_variance", teacher_variance, mean.shape)
    spread = as_variances("student_variance", student_variance, mean.shape)
    error = mean - other
    with np.errstate(divide="ignore", invalid="ignore"):
        regular = (np.log(spread) - np.log(variance) + (variance + error * error) / spread - 1) / 2
    same = (error == 0) & (variance == spread)
    # If only the teacher's variance is 0, the formula itself gives inf.
    singular = (spread == 0) & ~np.isnan(error + variance)
    return float(np.where(same, 0.0, np.where(singular, np.inf, regular)).mean())


def agreement(teacher_probabilities: ArrayLike, student_probabilities: ArrayLike) -> float:
    """Share of examples with the same top-1 class, 0 to 1 (Stanton et al. 2021).

    Of equally probable classes the first counts.

    Args:
        teacher_probabilities, student_probabilities: [N, C]; any scores that order classes alike
            will do.

    Raises:
        ValueError: empty input, or shapes that differ.
    """
    teacher, student = same_shape_arrays(teacher_probabilities, student_probabilities, 2)
    score, classes = top_class(np.stack((teacher, student)))
    if np.isnan(score).any():
        return NAN
    return float((classes[0] == classes[1]).mean())


def robust_upper_end(values: ArrayLike) -> float:
    """Return the upper end of a histogram, robust against a few very large values.

    Tukey's outer fence, q₃ + 3 (q₃ − q₁) with quartiles q, but at least 2 q₃: otherwise values that
    are nearly equal would share the last bin with everything larger. A quarter of the values can
    grow without bound and not move it. It is 1 if q₃ is 0, and nan if a value is nan.

    Args:
        values: at least 0 [N].

    Raises:
        ValueError: empty input, or not one-dimensional.
    """
    array = as_float64("values", values, 1)
    if np.isnan(array).any():
        return NAN
    quarter = len(array) // 4
    ranks = [quarter, len(array) - 1 - quarter]
    first, third = np.partition(array, ranks)[ranks]
    return float(max(4 * third - 3 * first, 2 * third)) or 1.0


def histogram_distance(
    teacher: ArrayLike, student: ArrayLike, upper: float, bins: int = BINS
) -> float:
    """Total variation ½ Σ_b |h_b − h'_b| between two histograms with equal bins on [0, upper].

    0 to 1; each histogram sums to 1. Values above `upper` count in the last bin, and values below 0
    (by rounding) in the first. The distance depends on the width of the bins, upper / bins.

    Args:
        teacher: values [N].
        student: values [M].
        upper: end of the last bin; the distance is nan if it is not finite.
        bins: number of bins.

    Raises:
        ValueError: empty input, not one-dimensional, no bins, or an upper end not above 0.
    """
    if bins < 1 or upper <= 0:
        raise ValueError(f"bins and upper must be above 0, got {bins} and {upper}")
    first, second = as_float64("teacher", teacher, 1), as_float64("student", student, 1)
    if not np.isfinite(upper) or np.isnan(first).any() or np.isnan(second).any():
        return NAN
    difference = histogram(first, upper, bins) - histogram(second, upper, bins)
    return float(np.abs(difference).sum() / 2)


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's rank correlation: Pearson's correlation of midranks, −1 to 1.

    It is nan if one of the arrays is constant.

    Args:
        a, b: values [N].

    Raises:
        ValueError: empty input, or shapes that differ.
    """
    first, second = same_shape_arrays(a, b, 1)
    if np.isnan(first).any() or np.isnan(second).any():
        return NAN
    middle = (len(first) + 1) / 2
    x, y = midranks(first) - middle, midranks(second) - middle
    scale = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / scale) if scale > 0 else NAN


def histogram(values: ArrayLike, upper: float, bins: int = BINS) -> Array:
    """Return the share of the values in each of the equal bins on [0, upper], [bins].

    Values above `upper` count in the last bin; nan counts in none.

    Args:
        values: [N].
        upper: end of the last bin, finite.
        bins: number of bins.
    """
    array = as_float64("values", values, 1)
    clipped = array[~np.isnan(array)].clip(0, upper)
    # The same as np.histogram, which takes three times as long on a few hundred values.
    edges = np.linspace(0, upper, bins + 1)
    indices = np.minimum((clipped / upper * bins).astype(np.intp), bins - 1)
    indices -= clipped < edges[indices]
    indices += (clipped >= edges[indices + 1]) & (indices < bins - 1)
    return np.bincount(indices, minlength=bins) / len(array)
