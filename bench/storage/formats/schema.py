"""What a run's files must hold, checked when they are read: a right sum only tells who wrote them.

All that commands do with a run relies on these checks and those of `cell_files.py`, and on nothing
else. Each is cheap, since ten thousand records are read for one table. What is written is held
against the same checks, so that whatever is written can be read.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

CELL_NAMES = ("dataset", "method", "label", "seed")
RESULT_COLUMNS = (*CELL_NAMES, "status")
METRIC_COLUMNS = (*CELL_NAMES, "set", "shift", "severity", "metric", "score", "value")
LATENCY = "latency_seconds_batch_1"
"""Of the timings of those cells that measured it (bench/execution/latencies.py)."""
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
STATUSES = ("done", "failed", "skipped", "missing")
"""Of a cell; a cell without a record is missing."""
RECORDED = STATUSES[:-1]
SET: dict[str, type] = {"set": str, "shift": str, "severity": int, "values": dict}
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
LONGEST_ID = 240
"""Bytes; file systems take 255 of a name, and an ending comes behind it."""
LONGEST = 4096
"""Characters of a name, as of a path, and of a reason."""
LONGEST_DETAILS = 100_000
"""Characters of a traceback, its end."""
MOST_CELLS = 1_000_000
"""Of a run; its description is read at once."""
DEEPEST = 20
"""Lists in lists; what is read is gone through by functions that call themselves."""
HUGE = 1e100
"""Figures are smaller: what is made of a few of them is finite, too."""
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
LAST_SEED = 2**32 - 1
"""Of those that a run is asked for; numpy takes no larger one."""
LARGEST_WHOLE = 2**63
"""Whole numbers are smaller, as JSON's readers agree on them; a larger one is no float."""


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
    return bool(_ID.fullmatch(text)) and len(os.fsencode(text)) <= LONGEST_ID


def record_flaw(record: Any) -> str:
    """Why a record can't be used; empty if it can."""
    if flaw := _flaw(record, RECORD):
        return flaw
    if record["status"] not in RECORDED:
        return f"status {record['status']!r} is none of {', '.join(RECORDED)}"
    # The sum of the training came later than the format.
    for name in ("history", "details"):
        if not isinstance(record.get(name, ""), str):
            return f"{name} is of the wrong kind"
    for name in ("parameters", "recipe", "environment"):
        if not is_plain(record[name]):
            return f"{name}: not finite, or nested too deeply"
    timings = dict(record["timings"])
    if not isinstance(timings.pop("host", ""), str):
        return "timings: host is of the wrong kind"
    if record["status"] == "done" and "seconds" not in timings:
        return "timings: seconds is missing"
    for name, value in timings.items():
        if not is_time(value) or name in TIMING_COLUMNS:
            return f"timings: {name} is no number"
    for entry in record["sets"]:
        if flaw := _flaw(entry, SET):
            return f"sets: {flaw}"
        if len(entry["set"]) > LONGEST or len(entry["shift"]) > LONGEST:
            return "sets: a name is too long"
    if taken := record["headline"].keys() & set(RESULT_COLUMNS):
        return f"headline: {min(taken)} is no figure"
    figures = (entry["values"] for entry in record["sets"])
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
        if not all(isinstance(each, dict) and is_plain(each) for each in manifest[name].values()):
            return f"{name}: of the wrong kind"
    if not all(
        isinstance(each, str) for sets in manifest["ood"].values() for each in sets.values()
    ):
        return "ood: of the wrong kind"
    if not _are_remarks(manifest.get("remarks", {})):
        return "remarks: of the wrong kind"
    if any(len(f"ood:{name}") > LONGEST for sets in manifest["ood"].values() for name in sets):
        return "ood: a name is too long"
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
    if (count := len(manifest["cells"])) > MOST_CELLS:
        return f"{count:,} cells; at most {MOST_CELLS:,}"
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
        if not is_plain(cell["parameters"]):
            return f"cells: {key}: parameters: not finite, or nested too deeply"
        taken.add((cell["dataset"], cell["label"], cell["seed"]))
    return "" if len(taken) == len(manifest["cells"]) else "cells: two are of one label and seed"


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


def is_time(value: Any) -> bool:
    """Whether it is an amount that can be added up; never nan."""
    return type(value) in (int, float) and abs(value) < LARGEST_WHOLE


def is_plain(value: Any, depth: int = 0) -> bool:
    """Whether values of a configuration can be compared, printed and written."""
    if isinstance(value, dict):
        if not all(isinstance(name, str) and _is_text(name) for name in value):
            return False
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return depth < DEEPEST and all(is_plain(each, depth + 1) for each in value)
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, str):
        return _is_text(value)
    return value is None or isinstance(value, bool) or _is_whole(value)


def _is_text(text: str) -> bool:
    """Whether it has no half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
