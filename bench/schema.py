"""What a run's files must hold, checked when they are read: a right sum only tells who wrote them.

Each check is cheap, since ten thousand records are read for one table.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

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
METHOD: dict[str, type] = {"name": str, "reference": bool}
METRIC: dict[str, type] = {"better": str, "headline": bool}
BETTER = ("", "higher", "lower")

# Of a cell's id: a file's name, in its own folder.
_ID = re.compile(r"(?!\.+$)[\w.+-]+")
# As JSON's readers agree on whole numbers; a larger one is no float.
_LARGEST = 2**63
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


def record_flaw(record: Any) -> str:
    """Why a record can't be used; empty if it can."""
    if flaw := _flaw(record, RECORD):
        return flaw
    if record["status"] not in STATUSES:
        return f"status {record['status']!r} is none of {', '.join(STATUSES)}"
    # The sum of the training came later than the format.
    if not isinstance(record.get("history", ""), str):
        return "history is of the wrong kind"
    timings = {name: value for name, value in record["timings"].items() if name != "host"}
    if record["status"] == "ok" and "seconds" not in timings:
        return "timings: seconds is missing"
    for entry in record["sets"]:
        if flaw := _flaw(entry, SET):
            return f"sets: {flaw}"
    figures = (entry["figures"] for entry in record["sets"])
    return (
        _no_number("timings", [timings])
        or _no_number("headline", [record["headline"]])
        or _no_number("sets", figures)
    )


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
        if not all(isinstance(each, dict) for each in manifest[name].values()):
            return f"{name}: of the wrong kind"
    for key, cell in manifest["cells"].items():
        # They become names of files.
        if not _ID.fullmatch(key):
            return f"cells: {key!r} is no id"
        if cell["dataset"] not in manifest["recipes"]:
            return f"recipes: {cell['dataset']} is missing"
    for key, metric in manifest["metrics"].items():
        texts = (metric.get("summary", ""), metric.get("task", ""))
        if metric["better"] not in BETTER or not all(isinstance(text, str) for text in texts):
            return f"metrics: {key}: better, summary or task is of the wrong kind"
    return ""


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
            if name != "stage" and text and not _reads_as(int if name == "epoch" else float, text):
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
        if type(found) is not kind or (type(found) is int and abs(found) >= _LARGEST):
            return f"{name} is missing or of the wrong kind"
    return ""


def _no_number(place: str, figures: Iterable[Mapping[str, Any]]) -> str:
    for each in figures:
        for name, value in each.items():
            if type(value) is not float and not _is_number(value):
                return f"{place}: {name} is no number"
    return ""


def _is_number(value: Any) -> bool:
    """Whether it is one; those that aren't finite are text."""
    if isinstance(value, str):
        return value in ("nan", "inf", "-inf")
    return type(value) is float or (type(value) is int and abs(value) < _LARGEST)


def _reads_as(kind: Any, text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True
