"""Rows of text as columns side by side, for a terminal or as Markdown."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Sequence

from tabulate import tabulate

NO_TERMINAL = 100
"""Characters a line where there is no terminal to ask, unless COLUMNS is set."""
GAP = "  "


def terminal_width() -> int:
    """Characters a line: COLUMNS, else the terminal's, else 100."""
    return shutil.get_terminal_size((NO_TERMINAL, 24)).columns


def aligned(rows: Sequence[Sequence[str]], width: int) -> str:
    """Columns side by side, a line under the first row; the first column to the left.

    Columns that don't fit beside each other go on below, behind the first one again.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    blocks = (_block(rows, widths, columns) for columns in _beside(widths, width))
    return "\n\n".join(blocks)


def _beside(widths: Sequence[int], width: int) -> Iterator[range]:
    """Numbers of the columns, but for the first, of each block: at least one."""
    first, used = 1, widths[0]
    for number, column in enumerate(widths[1:], start=1):
        if number > first and used + len(GAP) + column > width:
            yield range(first, number)
            first, used = number, widths[0]
        used += len(GAP) + column
    yield range(first, len(widths))


def _block(rows: Sequence[Sequence[str]], widths: Sequence[int], columns: range) -> str:
    lines = [
        GAP.join([row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in columns)]).rstrip()
        for row in rows
    ]
    lines.insert(1, GAP.join("-" * widths[i] for i in (0, *columns)))
    return "\n".join(lines)


def filled(text: str, width: int) -> str:
    """Words in lines of a terminal; a word that is longer stays whole."""
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)


def piped(rows: Sequence[Sequence[str]], headers: Sequence[str], left: int = 0) -> str:
    """A Markdown table of cells that are Markdown already; the first and one column to the left."""
    align = ["left" if number in (0, left) else "right" for number in range(len(headers))]
    return tabulate(rows, headers, tablefmt="pipe", disable_numparse=True, colalign=align)
