"""What a run's tables, histories and curves must hold; as `schema.py`, but row by row."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from distillation_bench.bench.storage.formats.older_formats import upgrade_status
from distillation_bench.bench.storage.formats.schema import (
    CELL_NAMES,
    HUGE,
    METRIC_COLUMNS,
    RECORDED,
    RESULT_COLUMNS,
    is_time,
)

if TYPE_CHECKING:
    import numpy as np

# Dimensions by the beginning of an array's name (`curves.py`); None is any length.
_SHAPES: dict[str, tuple[int | None, ...]] = {
    "histogram/": (2, 50),
    "upper/": (1,),
    "reliability/": (3, 15),
    "roc/": (201,),
    "fidelity/": (2, None),
    "canvas/total": (None,),
    "canvas/aleatoric": (None,),
    "canvas/epistemic": (None,),
    "canvas/mean": (None,),
    "canvas/x": (None, None),
    "train/x": (None, None),
}


def seconds_by_cell(value: Any) -> dict[str, float]:
    """Amounts of time by cell.

    Raises:
        ValueError: they are none.
    """
    if not isinstance(value, dict) or not all(map(is_time, value.values())):
        raise ValueError("not the times of cells")
    return value


def result_rows(content: bytes, cells: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The rows of results.csv.

    Args:
        content: of the file.
        cells: that were asked for; each has a row at most.

    Raises:
        ValueError: it is no such table.
    """
    known = {tuple(str(cell[name]) for name in CELL_NAMES) for cell in cells}
    try:
        reader = csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True)
        if not {*RESULT_COLUMNS} <= {*(reader.fieldnames or ())}:
            raise ValueError("not a table of results")
        return [_result_row(row, known) for row in reader]
    except csv.Error:
        raise ValueError("not readable as CSV") from None


def _result_row(row: dict[str, str], known: set[tuple[str, ...]]) -> dict[str, str]:
    """A row of results.csv as it is; its cell is no longer among those that are known.

    Raises:
        ValueError: it is none of a cell that is known.
    """
    # A surplus of fields has no name, a missing field no value.
    if None in row or None in row.values():
        raise ValueError("not a row of results")
    name = tuple(row[name] for name in CELL_NAMES)
    row["status"] = upgrade_status(row["status"])
    if name not in known or row["status"] not in RECORDED:
        raise ValueError("a row of no cell")
    known.remove(name)
    for column, text in row.items():
        if column not in RESULT_COLUMNS and text:
            _figure(text)
    return row


def figure_of(row: Sequence[str]) -> float:
    """The figure of a row of metrics.csv, with a severity that is one.

    Raises:
        ValueError: it is none.
    """
    int(row[METRIC_COLUMNS.index("severity")])
    return _figure(row[-1])


def _figure(text: str) -> float:
    value = float(text)
    if math.isfinite(value) and abs(value) >= HUGE:
        raise ValueError("too large for a figure")
    return value


def metric_rows(lines: Iterable[str]) -> Iterator[list[str]]:
    """The rows of metrics.csv, METRIC_COLUMNS; a value is looked at where it is used.

    Args:
        lines: with their ends.

    Raises:
        ValueError: it is no such table.
    """
    rows = csv.reader(lines, strict=True)
    try:
        if tuple(next(rows, ())) != METRIC_COLUMNS:
            raise ValueError("not a table of metrics")
        for row in rows:
            if len(row) != len(METRIC_COLUMNS):
                raise ValueError("not a row of metrics")
            yield row
    except csv.Error:
        raise ValueError("not readable as CSV") from None


def history_of(content: bytes) -> list[dict[str, str]]:
    """A training, a row an epoch, from history.csv; what is not empty is a number but the stage.

    Raises:
        ValueError: why it is none.
    """
    if not content:
        return []
    try:
        header, *rows = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
    except (ValueError, csv.Error):
        raise ValueError("not readable as CSV") from None
    if not {"stage", "epoch"} <= set(header):
        raise ValueError("no history: it has no stages and epochs")
    if any(len(row) != len(header) for row in rows) or not content.endswith(b"\n"):
        raise ValueError("damaged: as if cut off")
    history = [dict(zip(header, row, strict=True)) for row in rows]
    for row in history:
        for name, text in row.items():
            if (
                name != "stage"
                and text
                and not _reads_as(int if name == "epoch" else _figure, text)
            ):
                raise ValueError(f"damaged: {name} is {text[:20]!r}, no number")
    return history


def curves_of(content: bytes) -> dict[str, np.ndarray]:
    """Arrays by name from curves.safetensors.

    Raises:
        ValueError: why they are none.
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
        expected = next((s for start, s in _SHAPES.items() if name.startswith(start)), None)
        if array.dtype.kind not in "fiu" or (expected and not _fits(array.shape, expected)):
            raise ValueError(f"damaged: {name} has the shape {list(array.shape)}")
    return arrays


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    if len(shape) != len(expected):
        return False
    return all(length in (None, given) for given, length in zip(shape, expected, strict=True))


def _reads_as(kind: Any, text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True
