"""The history and the curves of a cell: what these files must hold."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from distillation_bench.bench.storage.formats.table_files import parse_value

if TYPE_CHECKING:
    import numpy as np

_SHAPES: dict[str, tuple[int | None, ...]] = {
    "histogram/": (2, 50),
    "upper/": (1,),
    "reliability/": (3, 15),
    "roc/": (201,),
    "selective/": (100,),
    "fidelity/": (2, None),
    "canvas/total": (None,),
    "canvas/aleatoric": (None,),
    "canvas/epistemic": (None,),
    "canvas/mean": (None,),
    "canvas/passes": (None, None),
    "canvas/x": (None, None),
    "train/x": (None, None),
}
"""Shapes by the start of an array's name; None is any length.

The arrays are made in bench/training/evaluation/figure_arrays.py.
"""


def parse_history(content: bytes) -> list[dict[str, str]]:
    """Return the rows of history.csv: a stage, an epoch, and numbers, of which some are empty.

    Raises:
        ValueError: why it is not a history.
    """
    if not content:
        return []
    try:
        header, *rows = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
    except (ValueError, csv.Error):
        raise ValueError("not readable as CSV") from None
    if not {"stage", "epoch"} <= set(header):
        raise ValueError("not a history: it lacks the columns stage and epoch")
    if any(len(row) != len(header) for row in rows) or not content.endswith(b"\n"):
        raise ValueError("damaged: it ends too early")
    history = [dict(zip(header, row, strict=True)) for row in rows]
    for row in history:
        _check_epoch(row)
    return history


def _check_epoch(row: dict[str, str]) -> None:
    for name, text in row.items():
        kind: Callable[[str], float] = int if name == "epoch" else parse_value
        if name != "stage" and text and not _reads_as(kind, text):
            raise ValueError(f"damaged: {name} is {text[:20]!r}, not a number")


def _reads_as(kind: Callable[[str], float], text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def parse_curves(content: bytes) -> dict[str, np.ndarray]:
    """Return the arrays of curves.safetensors by name.

    Raises:
        ValueError: why they cannot be used.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    if not content:
        return {}
    try:
        arrays = load(content)
    except (SafetensorError, KeyError, TypeError) as error:
        raise ValueError(f"not readable as safetensors ({error})") from None
    for name, array in arrays.items():
        shapes = (shape for start, shape in _SHAPES.items() if name.startswith(start))
        expected = next(shapes, None)
        if array.dtype.kind not in "fiu" or (expected and not _fits(array.shape, expected)):
            raise ValueError(f"damaged: {name} has the shape {list(array.shape)}")
    return arrays


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    return len(shape) == len(expected) and all(
        length in (None, actual) for actual, length in zip(shape, expected, strict=True)
    )
