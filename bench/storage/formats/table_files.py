"""The tables of a run: what results.csv, metrics.csv and the times of cells must hold."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from distillation_bench.bench.storage.formats.limits import VALUE_BOUND, is_duration
from distillation_bench.bench.storage.formats.older_formats import upgrade_status
from distillation_bench.bench.storage.formats.schema import (
    CELL_NAMES,
    METRIC_COLUMNS,
    RECORDED,
    RESULT_COLUMNS,
)


def check_durations(value: Any) -> dict[str, float]:
    """Return durations by cell.

    Raises:
        ValueError: the value holds something else.
    """
    if not isinstance(value, dict) or not all(map(is_duration, value.values())):
        raise ValueError("not a table of timings")
    return value


def parse_results(content: bytes, cells: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the rows of results.csv.

    Args:
        content: of the file.
        cells: that were asked for; each has at most one row.

    Raises:
        ValueError: it is not a table of these cells' results.
    """
    remaining = {tuple(str(cell[name]) for name in CELL_NAMES) for cell in cells}
    try:
        reader = csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True)
        if not {*RESULT_COLUMNS} <= {*(reader.fieldnames or ())}:
            raise ValueError("not a table of results")
        return [_check_result(row, remaining) for row in reader]
    except csv.Error:
        raise ValueError("not readable as CSV") from None


def _check_result(row: dict[str, str], remaining: set[tuple[str, ...]]) -> dict[str, str]:
    """Return a row of results.csv and remove its cell from those that have no row yet.

    Raises:
        ValueError: the row is damaged, or of another cell.
    """
    # DictReader gives surplus fields the name None, and missing fields the value None.
    if None in row or None in row.values():
        raise ValueError("not a row of results")
    name = tuple(row[name] for name in CELL_NAMES)
    row["status"] = upgrade_status(row["status"])
    if name not in remaining or row["status"] not in RECORDED:
        raise ValueError("a row of a cell that is not in the run, or its second row")
    remaining.remove(name)
    for column, text in row.items():
        if column not in RESULT_COLUMNS and text:
            parse_value(text)
    return row


def parse_metrics(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield the rows of metrics.csv, METRIC_COLUMNS; values are parsed where they are used.

    Args:
        lines: with their ends.

    Raises:
        ValueError: it is not a table of metrics.
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


def parse_value(text: str) -> float:
    """Return a value of a metric, which may be nan or infinite.

    Raises:
        ValueError: it is not a number, or is too large.
    """
    value = float(text)
    if math.isfinite(value) and abs(value) >= VALUE_BOUND:
        raise ValueError("too large for a value")
    return value
