"""What the metrics share: checks of their inputs, top-1 classes and the KL divergence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distillation_bench.bench.metrics.outcome import Array

Integers = NDArray[np.integer[Any]]

# Probabilities that a network computed in float32 may leave [0, 1] by rounding.
ROUNDING = 1e-6


def numbers(name: str, values: ArrayLike, ndim: int) -> Array:
    """`values` as float64.

    Raises:
        ValueError: it is empty or has not `ndim` dimensions.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != ndim or array.size == 0:
        raise ValueError(
            f"{name} must be a non-empty array of {ndim} dimension(s), got shape {array.shape}"
        )
    return array


def require_shape(name: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Refuse an array of another shape, rather than broadcast it.

    Raises:
        ValueError: the shapes differ.
    """
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")


def equal_shapes(a: ArrayLike, b: ArrayLike, ndim: int) -> tuple[Array, Array]:
    """Two arrays of one shape as float64.

    Raises:
        ValueError: one is empty, has not `ndim` dimensions, or the shapes differ.
    """
    first, second = numbers("the first array", a, ndim), numbers("the second array", b, ndim)
    require_shape("the second array", second, first.shape)
    return first, second


def class_targets(targets: ArrayLike, examples: int, classes: int) -> Integers:
    """Targets [N] as integers in [0, C).

    Raises:
        ValueError: they are not integers, not N, or outside [0, C).
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
    """Probabilities [N, C] as float64; nan is let through.

    Raises:
        ValueError: it is empty, not a table, or holds values outside [0, 1] (logits, perhaps).
    """
    array = numbers("probabilities", probabilities, 2)
    if array.min() < -ROUNDING or array.max() > 1 + ROUNDING:
        raise ValueError("probabilities must lie in [0, 1]")
    return array


def variances_of(name: str, values: ArrayLike, shape: tuple[int, ...]) -> Array:
    """Variances of a given shape as float64; nan is let through.

    Raises:
        ValueError: the shape is another one, or a variance is negative.
    """
    array = numbers(name, values, len(shape))
    require_shape(name, array, shape)
    if (array < 0).any():
        raise ValueError(f"{name} must not be negative")
    return array


def top_class(scores: Array) -> tuple[Array, Integers]:
    """The highest score along the last axis and its class; the first of equal ones, as in numpy.

    The score is nan where any class has nan, so that it also tells which classes are void.
    """
    classes = scores.argmax(-1)
    return np.take_along_axis(scores, classes[..., None], -1)[..., 0], classes


def divergence(log_p: Array, log_q: Array) -> Array:
    """KL(p‖q) = Σ p (ln p − ln q) over the last axis, in nats, with 0 ln 0 = 0.

    inf where q is 0 and p is not.
    """
    p = np.exp(log_p)
    with np.errstate(invalid="ignore"):  # −inf − −inf and 0 · inf, which the mask sets to 0
        terms = p * (log_p - log_q)
    terms[(p == 0) & ~np.isnan(log_q)] = 0.0
    result: Array = terms.sum(-1)
    return result
