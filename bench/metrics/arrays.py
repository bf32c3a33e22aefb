"""Shared by the metrics: checks of their inputs, top-1 classes and the KL divergence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distillation_bench.bench.metrics.outcome import Array

Integers = NDArray[np.integer[Any]]

NAN = float("nan")
ROUNDING = 1e-6
"""Tolerance around [0, 1]: probabilities that were computed in float32 may leave it by rounding."""


def as_float64(name: str, values: ArrayLike, ndim: int) -> Array:
    """Return `values` as an array of float64.

    Raises:
        ValueError: the array is empty, or the number of its dimensions is not `ndim`.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != ndim or array.size == 0:
        raise ValueError(
            f"{name} must be a non-empty array of {ndim} dimension(s), got shape {array.shape}"
        )
    return array


def require_shape(name: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Refuse an array of another shape instead of broadcasting it.

    Raises:
        ValueError: the shapes differ.
    """
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")


def same_shape_arrays(a: ArrayLike, b: ArrayLike, ndim: int) -> tuple[Array, Array]:
    """Return two arrays of the same shape as float64.

    Raises:
        ValueError: an array is empty or does not have `ndim` dimensions, or the shapes differ.
    """
    first, second = as_float64("the first array", a, ndim), as_float64("the second array", b, ndim)
    require_shape("the second array", second, first.shape)
    return first, second


def class_targets(targets: ArrayLike, examples: int, classes: int) -> Integers:
    """Return class targets [N], integers in [0, C).

    Args:
        targets: [N].
        examples: N.
        classes: C.

    Raises:
        ValueError: the targets are not integers, their number is not N, or one is outside [0, C).
    """
    array = np.asarray(targets)
    require_shape("targets", array, (examples,))
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"targets must be integers, got {array.dtype}")
    # A negative index would silently count from the last class.
    if array.min() < 0 or array.max() >= classes:
        raise ValueError(f"targets must lie in [0, {classes})")
    return array


def probability_table(probabilities: ArrayLike) -> Array:
    """Return probabilities [N, C] as float64; nan is accepted.

    Raises:
        ValueError: the array is empty or not two-dimensional, or a value is outside [0, 1], as
            logits are.
    """
    array = as_float64("probabilities", probabilities, 2)
    if array.min() < -ROUNDING or array.max() > 1 + ROUNDING:
        raise ValueError("probabilities must lie in [0, 1]")
    return array


def as_variances(name: str, values: ArrayLike, shape: tuple[int, ...]) -> Array:
    """Return variances of the given shape as float64; nan is accepted.

    Raises:
        ValueError: the shape differs, or a variance is negative.
    """
    array = as_float64(name, values, len(shape))
    require_shape(name, array, shape)
    if (array < 0).any():
        raise ValueError(f"{name} must not be negative")
    return array


def top_class(scores: Array) -> tuple[Array, Integers]:
    """Return the highest score along the last axis, and its class.

    Of equal scores the first class counts, as in numpy. Where any class has nan, the score is nan
    and the class has no meaning.
    """
    classes = scores.argmax(-1)
    return np.take_along_axis(scores, classes[..., None], -1)[..., 0], classes


def kl_divergence(log_p: Array, log_q: Array) -> Array:
    """Return KL(p‖q) = Σ p (ln p − ln q) over the last axis, in nats, with 0 ln 0 = 0.

    It is inf where q is 0 and p is not.
    """
    p = np.exp(log_p)
    with np.errstate(invalid="ignore"):  # −inf − −inf and 0 · inf, which the mask sets to 0
        terms = p * (log_p - log_q)
    terms[(p == 0) & ~np.isnan(log_q)] = 0.0
    result: Array = terms.sum(-1)
    return result


def top1_correctness(scores: ArrayLike, targets: ArrayLike) -> tuple[Array, Array]:
    """Return the top-1 score [N], and 1 where its class is the target, else 0 [N].

    Both are nan in rows with nan.
    """
    table = as_float64("probabilities", scores, 2)
    truth = class_targets(targets, *table.shape)
    confidence, classes = top_class(table)
    return confidence, np.where(np.isnan(confidence), np.nan, classes == truth)
