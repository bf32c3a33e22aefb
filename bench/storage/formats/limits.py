"""Bounds of what a run may hold, so that whatever is written can be read, compared and printed."""

from __future__ import annotations

import math
import os
import re
from typing import Any

MAX_NAME_LENGTH = 4096
"""The most characters of a name, such as a path, and of a reason."""
MAX_DETAILS_LENGTH = 100_000
"""Characters of a traceback, counted from its end."""
MAX_ID_LENGTH = 240
"""Bytes of a cell's id; file systems take names of 255, and an ending is added to it."""
MAX_CELLS = 1_000_000
"""Cells of a run, whose description is read at once."""
MAX_DEPTH = 20
"""The deepest nesting of lists; recursive functions go through what is read."""
VALUE_BOUND = 1e100
"""Values are smaller, so that sums and squares of a few of them are finite."""
INTEGER_BOUND = 2**63
"""Integers are smaller, as readers of JSON agree on them; larger ones may not fit a float."""
MAX_SEED = 2**32 - 1
"""The largest seed that numpy takes."""

_ID = re.compile(r"(?!\.+$)[\w.+-]+")


def is_cell_id(text: str) -> bool:
    """Whether a text can be a cell's id, which names a file in the folder of cells."""
    return bool(_ID.fullmatch(text)) and len(os.fsencode(text)) <= MAX_ID_LENGTH


def is_duration(value: Any) -> bool:
    """Whether a value is a number that can be added up; never nan."""
    return type(value) in (int, float) and abs(value) < INTEGER_BOUND


def is_plain(value: Any) -> bool:
    """Whether a value of a configuration can be compared, printed and written as JSON."""
    return _are_plain((value,), 0)


def _are_plain(values: Any, depth: int) -> bool:
    # One call per container, not per value: this is done for each of ten thousand records.
    return depth <= MAX_DEPTH and all(
        value is None
        or (isinstance(value, str) and _is_text(value))
        or isinstance(value, bool)
        or (isinstance(value, float) and math.isfinite(value))
        or (type(value) is int and abs(value) < INTEGER_BOUND)
        or (isinstance(value, (list, tuple)) and _are_plain(value, depth + 1))
        or (isinstance(value, dict) and _has_plain_items(value, depth + 1))
        for value in values
    )


def _has_plain_items(value: dict[Any, Any], depth: int) -> bool:
    names = all(isinstance(name, str) and _is_text(name) for name in value)
    return names and _are_plain(value.values(), depth)


def _is_text(text: str) -> bool:
    """Whether a text can be encoded: it holds no lone surrogate."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
