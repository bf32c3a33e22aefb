"""CSV that every reader splits into the same rows, whatever is in a field."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from _csv import Writer


FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Starts of a field that a spreadsheet takes for a formula."""


class Writable(Protocol):
    """Anything that text can be written to."""

    def write(self, text: str, /) -> int: ...


class _UnixLines:
    """Ends rows with a line feed.

    The csv module quotes only fields that hold a character of its own line ends: with "\\n" instead
    of "\\r\\n", a name with "\\r" in it would be two rows to a reader.
    """

    def __init__(self, file: Writable) -> None:
        self._file = file

    def write(self, row: str) -> int:
        return self._file.write(f"{row.removesuffix(csv.excel.lineterminator)}\n")


def csv_writer(file: Writable) -> Writer:
    """Return a writer of sequences as rows."""
    return csv.writer(_UnixLines(file))


def csv_dict_writer(file: Writable, names: Sequence[str]) -> csv.DictWriter[str]:
    """Return a writer of mappings as rows; a field that a mapping lacks is empty."""
    return csv.DictWriter(_UnixLines(file), names, restval="")


def as_csv(names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Return a table of mappings with a header."""
    text = io.StringIO()
    table = csv_dict_writer(text, names)
    table.writeheader()
    table.writerows(rows)
    return text.getvalue().encode()


def spreadsheet_safe(value: Any) -> Any:
    """Return a field with ' before it if a spreadsheet would take it for a formula.

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
