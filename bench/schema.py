"""What a run's files must hold, checked when they are read: a right sum only tells who wrote them.

All that commands do with a run relies on these checks, and on nothing else. Each is cheap, since
ten thousand records are read for one table.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

CELL_NAMES = ("dataset", "method", "label", "seed")
RESULT_COLUMNS = (*CELL_NAMES, "status")
METRIC_COLUMNS = (*CELL_NAMES, "set", "shift", "severity", "metric", "score", "value")
LATENCY = "latency_seconds_batch_1"
"""Of the timings of those cells that measured it (bench/latencies.py)."""
TIMING_COLUMNS = (*CELL_NAMES, "cell")
RECORD: dict[str, type] = {
    "id": str,
    "dataset": str,
    "method": str,
    "seed": int,
    "status": str,
    "reason": str,
    "parameters": dict,
    "recipe": dict,
    "teacher": str,
    "commit": str,
    "finished": str,
    "headline": dict,
    "sets": list,
    "timings": dict,
    "environment": dict,
    "curves": str,
}
STATUSES = ("ok", "failed", "skipped")
SET: dict[str, type] = {"set": str, "shift": str, "severity": int, "figures": dict}
MANIFEST: dict[str, type] = {
    "cells": dict,
    "recipes": dict,
    "ood": dict,
    "metrics": dict,
    "methods": list,
}
CELL: dict[str, type] = {
    "dataset": str,
    "method": str,
    "label": str,
    "seed": int,
    "measured": str,
    "protocol": str,
    "parameters": dict,
}
VERSIONS = ("code", "data")
"""Of a cell, what runs of an earlier version don't say."""
METHOD: dict[str, type] = {"name": str, "reference": bool}
METRIC: dict[str, type] = {"better": str, "headline": bool}
BETTER = ("", "higher", "lower")

# Of a cell's id: a file's name, in its own folder.
_ID = re.compile(r"(?!\.+$)[\w.+-]+")
_LONGEST_ID = 240
"""Bytes; file systems take 255 of a name, and an ending comes behind it."""
LONGEST = 4096
"""Characters of a name, as of a path."""
_DEEPEST = 20
"""Lists in lists; what is read is gone through by functions that call themselves."""
HUGE = 1e100
"""Figures are smaller: what is made of a few of them is finite, too."""
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
LAST_SEED = 2**32 - 1
"""Of those that a run is asked for; numpy takes no larger one."""
LARGEST_WHOLE = 2**63
"""Whole numbers are smaller, as JSON's readers agree on them; a larger one is no float."""
# Dimensions by the beginning of an array's name (bench/curves.py); None is any length.
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


def plain_json(text: bytes) -> Any:
    """A value from JSON.

    Raises:
        ValueError: it is none, or holds text that can't be written.
    """
    try:
        value = json.loads(text.decode())
        if _SURROGATE.search(text):
            # Half of a pair is no character.
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def is_id(text: str) -> bool:
    """Whether it can be a cell's id."""
    return bool(_ID.fullmatch(text)) and len(os.fsencode(text)) <= _LONGEST_ID


def record_flaw(record: Any) -> str:
    """Why a record can't be used; empty if it can."""
    if flaw := _flaw(record, RECORD):
        return flaw
    if record["status"] not in STATUSES:
        return f"status {record['status']!r} is none of {', '.join(STATUSES)}"
    # The sum of the training came later than the format.
    for name in ("history", "details"):
        if not isinstance(record.get(name, ""), str):
            return f"{name} is of the wrong kind"
    for name in ("parameters", "recipe", "environment"):
        if not _is_plain(record[name]):
            return f"{name}: not finite, or nested too deeply"
    timings = dict(record["timings"])
    if not isinstance(timings.pop("host", ""), str):
        return "timings: host is of the wrong kind"
    if record["status"] == "ok" and "seconds" not in timings:
        return "timings: seconds is missing"
    for name, value in timings.items():
        if not _is_time(value) or name in TIMING_COLUMNS:
            return f"timings: {name} is no number"
    for entry in record["sets"]:
        if flaw := _flaw(entry, SET):
            return f"sets: {flaw}"
        if len(entry["set"]) > LONGEST or len(entry["shift"]) > LONGEST:
            return "sets: a name is too long"
    if taken := record["headline"].keys() & set(RESULT_COLUMNS):
        return f"headline: {min(taken)} is no figure"
    figures = (entry["figures"] for entry in record["sets"])
    return _no_number("headline", [record["headline"]]) or _no_number("sets", figures)


def manifest_flaw(manifest: Any) -> str:
    """Why run.json can't be used; empty if it can."""
    if flaw := _flaw(manifest, MANIFEST):
        return flaw
    if not isinstance(manifest.get("command", ""), str):
        return "command is of the wrong kind"
    for name, expected in (("cells", CELL), ("metrics", METRIC)):
        for key, each in manifest[name].items():
            if flaw := _flaw(each, expected):
                return f"{name}: {key}: {flaw}"
    for each in manifest["methods"]:
        if flaw := _flaw(each, METHOD):
            return f"methods: {flaw}"
    for name in ("recipes", "ood"):
        if not all(isinstance(each, dict) and _is_plain(each) for each in manifest[name].values()):
            return f"{name}: of the wrong kind"
    if not all(
        isinstance(each, str) for sets in manifest["ood"].values() for each in sets.values()
    ):
        return "ood: of the wrong kind"
    if not _are_remarks(manifest.get("remarks", {})):
        return "remarks: of the wrong kind"
    if flaw := _cells_flaw(manifest):
        return flaw
    for key, metric in manifest["metrics"].items():
        texts = (metric.get("summary", ""), metric.get("task", ""))
        if metric["better"] not in BETTER or not all(isinstance(text, str) for text in texts):
            return f"metrics: {key}: better, summary or task is of the wrong kind"
        if key in RESULT_COLUMNS or len(key) > LONGEST or {*":@"} & {*key}:
            return f"metrics: {key[:20]}: no name of a metric"
    return ""


def _are_remarks(value: Any) -> bool:
    """Whether it is lines by dataset; older runs have none."""
    return isinstance(value, dict) and all(
        isinstance(lines, list) and all(isinstance(line, str) for line in lines)
        for lines in value.values()
    )


def _cells_flaw(manifest: Mapping[str, Any]) -> str:
    taken = set()
    for key, cell in manifest["cells"].items():
        # They become names of files.
        if not is_id(key):
            return f"cells: {key[:LONGEST]!r} is no id"
        if cell["dataset"] not in manifest["recipes"]:
            return f"recipes: {cell['dataset']} is missing"
        if max(len(cell[name]) for name in ("dataset", "method", "label", "measured")) > LONGEST:
            return f"cells: {key}: a name is too long"
        if not all(isinstance(cell.get(name, ""), str) for name in VERSIONS):
            return f"cells: {key}: code or data is of the wrong kind"
        if not _is_plain(cell["parameters"]):
            return f"cells: {key}: parameters: not finite, or nested too deeply"
        taken.add((cell["dataset"], cell["label"], cell["seed"]))
    return "" if len(taken) == len(manifest["cells"]) else "cells: two are of one label and seed"


def seconds_by_cell(value: Any) -> dict[str, float]:
    """Amounts of time by cell.

    Raises:
        ValueError: they are none.
    """
    if not isinstance(value, dict) or not all(map(_is_time, value.values())):
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
    if name not in known or row["status"] not in STATUSES:
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


def _flaw(value: Any, expected: Mapping[str, type]) -> str:
    if not isinstance(value, dict):
        return "not an object"
    for name, kind in expected.items():
        found: Any = value.get(name)
        # Exactly so: to Python, true is a whole number, too.
        if type(found) is not kind or (type(found) is int and abs(found) >= LARGEST_WHOLE):
            return f"{name} is missing or of the wrong kind"
    return ""


def _no_number(place: str, figures: Iterable[Mapping[str, Any]]) -> str:
    for each in figures:
        for name, value in each.items():
            if not (type(value) is float and abs(value) < HUGE) and not _is_number(value):
                return f"{place}: {name[:LONGEST]} is no number"
            if len(name) > LONGEST:
                return f"{place}: a name is too long"
    return ""


def _is_number(value: Any) -> bool:
    """Whether it is one; those that aren't finite are text."""
    if isinstance(value, str):
        return value in ("nan", "inf", "-inf")
    return _is_whole(value)


def _is_whole(value: Any) -> bool:
    return type(value) is int and abs(value) < LARGEST_WHOLE


def _is_time(value: Any) -> bool:
    """Whether it is an amount that can be added up; never nan."""
    return type(value) in (int, float) and abs(value) < LARGEST_WHOLE


def _is_plain(value: Any, depth: int = 0) -> bool:
    """Whether values of a configuration can be compared, printed and written."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return depth < _DEEPEST and all(_is_plain(each, depth + 1) for each in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, (str, bool)) or _is_whole(value)


def _reads_as(kind: Any, text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True
