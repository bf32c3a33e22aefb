"""What runs of older formats hold, in the words of the present format.

Format 4 calls a finished cell `done` (format 3: `ok`) and the numbers of an evaluation set `values`
(format 3: `figures`). Files stay as they were written: they are upgraded each time they are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FORMAT = 4
"""The format of what is written."""
READABLE = (3, FORMAT)


def upgrade_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record of a readable format in the present one.

    The record is not checked yet: entries of wrong types are left for the check to refuse.

    Raises:
        ValueError: a record of format 3 uses words of format 4.
    """
    if record["format"] == FORMAT:
        return dict(record)
    if record.get("status") == "done":
        raise ValueError("status: 'done' is a status of format 4, in a record of format 3")
    sets = record.get("sets")
    if isinstance(sets, list):
        sets = [_upgrade_set(entry) if isinstance(entry, dict) else entry for entry in sets]
    status = upgrade_status(record.get("status"))
    return {**record, "format": FORMAT, "status": status, "sets": sets}


def _upgrade_set(entry: Mapping[str, Any]) -> dict[str, Any]:
    if "values" in entry:
        raise ValueError("sets: 'values' is an entry of format 4, in a record of format 3")
    return {("values" if name == "figures" else name): value for name, value in entry.items()}


def upgrade_status(status: Any) -> Any:
    """Return a cell's status in the present format."""
    return "done" if status == "ok" else status


def status_of_format(status: str, number: int) -> str:
    """Return what a format calls a status of the present one."""
    return "ok" if status == "done" and number < FORMAT else status
