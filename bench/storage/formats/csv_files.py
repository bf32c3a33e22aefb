"""CSV that every reader takes apart alike: whatever is in a field, a row ends at its line's end."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from _csv import Writer


FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for a formula's beginning."""


class Writable(Protocol):
    """What rows are written to."""

    def write(self, text: str, /) -> int: ...


class _Lines:
    """Ends lines as Unix does.

    Python quotes only what its own end of a line holds: with "\\n" a name with "\\r" in it would be
    two rows to a reader.
    """

    def __init__(self, file: Writable) -> None:
        self._file = file

    def write(self, row: str) -> int:
        return self._file.write(f"{row.removesuffix(csv.excel.lineterminator)}\n")


def writer(file: Writable) -> Writer:
    """Writes sequences as rows."""
    return csv.writer(_Lines(file))


def as_csv(names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    """A table of mappings, under their names."""
    text = io.StringIO()
    table = dict_writer(text, names)
    table.writeheader()
    table.writerows(rows)
    return text.getvalue().encode()


def dict_writer(file: Writable, names: Sequence[str]) -> csv.DictWriter[str]:
    """Writes mappings as rows; what one lacks is empty."""
    return csv.DictWriter(_Lines(file), names, restval="")


def harmless(value: Any) -> Any:
    """A field of a table that people open: ' comes before what a spreadsheet takes for a formula.

    Numbers stay as they are, whatever their sign. Not for tables that are read again, since it
    changes the text.
    """
    if not isinstance(value, str) or not value.startswith(FORMULAS) or _is_number(value):
        return value
    return f"'{value}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and text == text.strip()
