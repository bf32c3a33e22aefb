"""How close a student is to its teacher on the same N examples; logarithms are natural.

A nan in the input makes a figure nan.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from distillation_bench.bench.metrics.arrays import (
    divergence,
    equal_shapes,
    numbers,
    top_class,
    variances_of,
)
from distillation_bench.bench.metrics.ood_detection import NAN
from distillation_bench.bench.metrics.order_statistics import midranks
from distillation_bench.bench.metrics.outcome import Array

BINS = 50
"""Of the histograms of uncertainty, as in the seed system."""


def kl_of_means(teacher_log: ArrayLike, student_log: ArrayLike) -> float:
    """Mean KL(teacher‖student) of the predictive distributions, nats (Hinton et al. 2015).

    inf if the student rules out a class that the teacher does not.

    Args:
        teacher_log, student_log: ln of the mean probabilities [N, C]; −inf for 0.

    Raises:
        ValueError: empty input, or shapes that differ.
    """
    return float(divergence(*equal_shapes(teacher_log, student_log, 2)).mean())


def kl_of_gaussians(
    teacher_mean: ArrayLike,
    teacher_variance: ArrayLike,
    student_mean: ArrayLike,
    student_variance: ArrayLike,
) -> float:
    """Mean KL(teacher‖student) of Gaussians with these moments, nats.

    ½ [ln(v_s / v_t) + (v_t + (m_t − m_s)²) / v_s − 1] per example. Without variance: 0 if both
    are the same point mass, else inf. For mixtures give the total mean and variance: it is then
    the divergence of their moment-matched Gaussians, not of the mixtures.

    Args:
        teacher_mean, teacher_variance, student_mean, student_variance: [N].

    Raises:
        ValueError: empty input, shapes that differ, or a negative variance.
    """
    mean, other = equal_shapes(teacher_mean, student_mean, 1)
    variance = variances_of("teacher_variance", teacher_variance, mean.shape)
    spread = variances_of("student_variance", student_variance, mean.shape)
    gap = mean - other
    with np.errstate(divide="ignore", invalid="ignore"):
        regular = (np.log(spread) - np.log(variance) + (variance + gap * gap) / spread - 1) / 2
    same = (gap == 0) & (variance == spread)
    # Where the teacher alone has no variance, the formula gives inf by itself.
    singular = (spread == 0) & ~np.isnan(gap + variance)
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
    teacher, student = equal_shapes(teacher_probabilities, student_probabilities, 2)
    score, classes = top_class(np.stack((teacher, student)))
    if np.isnan(score).any():
        return NAN
    return float((classes[0] == classes[1]).mean())


def robust_end(values: ArrayLike) -> float:
    """Where a histogram's last bin ends, robust against a few values that explode.

    Tukey's outer fence, q₃ + 3 (q₃ − q₁) with quartiles q, but at least 2 q₃: otherwise values that
    are nearly the same would share the last bin with all that is larger. A quarter of the values
    can be as large as they like without moving it. 1 where q₃ is 0; nan where a value is nan.

    Args:
        values: at least 0 [N].

    Raises:
        ValueError: empty input, or not one-dimensional.
    """
    array = numbers("values", values, 1)
    if np.isnan(array).any():
        return NAN
    quarter = len(array) // 4
    places = [quarter, len(array) - 1 - quarter]
    first, third = np.partition(array, places)[places]
    return float(max(4 * third - 3 * first, 2 * third)) or 1.0


def histogram_distance(
    teacher: ArrayLike, student: ArrayLike, upper: float, bins: int = BINS
) -> float:
    """Total variation ½ Σ_b |h_b − h'_b| between two histograms of equal bins on [0, upper].

    0 to 1; each histogram sums to 1. Values above `upper` count in the last bin, values below 0
    (rounding) in the first. It depends on the width of the bins, upper / bins.

    Args:
        teacher: values [N].
        student: values [M].
        upper: end of the last bin; not finite (the largest of values that are not): nan.
        bins: number of bins.

    Raises:
        ValueError: empty input, not one-dimensional, no bins, or an upper end not above 0.
    """
    if bins < 1 or upper <= 0:
        raise ValueError(f"bins and upper must be above 0, got {bins} and {upper}")
    first, second = numbers("teacher", teacher, 1), numbers("student", student, 1)
    if not np.isfinite(upper) or np.isnan(first).any() or np.isnan(second).any():
        return NAN
    gap = histogram(first, upper, bins) - histogram(second, upper, bins)
    return float(np.abs(gap).sum() / 2)


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's rank correlation: Pearson's correlation of midranks, −1 to 1.

    nan if one of them is constant: it has no order to agree with.

    Args:
        a, b: values [N].

    Raises:
        ValueError: empty input, or shapes that differ.
    """
    first, second = equal_shapes(a, b, 1)
    if np.isnan(first).any() or np.isnan(second).any():
        return NAN
    middle = (len(first) + 1) / 2
    x, y = midranks(first) - middle, midranks(second) - middle
    scale = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / scale) if scale > 0 else NAN


def histogram(values: ArrayLike, upper: float, bins: int = BINS) -> Array:
    """Shares of the values by equal bin [bins] on [0, upper], those beyond it in the last; a nan
    is in none.

    Args:
        values: [N].
        upper: end of the last bin, finite.
        bins: number of bins.
    """
    array = numbers("values", values, 1)
    known = array[~np.isnan(array)].clip(0, upper)
    # As np.histogram, which takes three times as long on a few hundred values.
    edges = np.linspace(0, upper, bins + 1)
    places = np.minimum((known / upper * bins).astype(np.intp), bins - 1)
    places -= known < edges[places]
    places += (known >= edges[places + 1]) & (places < bins - 1)
    return np.bincount(places, minlength=bins) / len(array)
