"""Tables for the terminal whose columns are laid out to fit its width."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Sequence

WIDTH_WITHOUT_TERMINAL = 100
"""Characters per line if the output is not a terminal, unless COLUMNS is set."""
GAP = "  "


def terminal_width() -> int:
    """Return the characters per line: COLUMNS, else the terminal's, else 100."""
    return shutil.get_terminal_size((WIDTH_WITHOUT_TERMINAL, 24)).columns


def wrap_words(text: str, width: int) -> str:
    """Wrap text to a width; a longer word stays whole."""
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)


def aligned_table(rows: Sequence[Sequence[str]], width: int, long_names_above: bool = False) -> str:
    """Return columns side by side with a line under the first row; names to the left.

    Columns that do not fit beside each other are continued below, behind the first one again.

    Args:
        rows: cells of each row, the header first; the first cell is the name of the row.
        width: characters per line.
        long_names_above: write names that do not fit beside their cells above them instead.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if long_names_above:
        available = width - sum(widths[1:]) - len(GAP) * len(widths[1:])
        widths[0] = min(widths[0], available)
        return _block(rows, widths, range(1, len(widths)))
    blocks = (_block(rows, widths, columns) for columns in _fitting_columns(widths, width))
    return "\n\n".join(blocks)


def _fitting_columns(widths: Sequence[int], width: int) -> Iterator[range]:
    """Yield the indices of the columns of each block, without the first: at least one."""
    first, used = 1, widths[0]
    for index, column_width in enumerate(widths[1:], start=1):
        if index > first and used + len(GAP) + column_width > width:
            yield range(first, index)
            first, used = index, widths[0]
        used += len(GAP) + column_width
    yield range(first, len(widths))


def _block(rows: Sequence[Sequence[str]], widths: Sequence[int], columns: range) -> str:
    lines = [_line(row, widths, columns) for row in rows]
    lines.insert(1, _line(["-" * width for width in widths], widths, columns))
    return "\n".join(lines)


def _line(row: Sequence[str], widths: Sequence[int], columns: range) -> str:
    """Return a row as one line, or as two if its name is too long."""
    name, above = row[0], ""
    if len(name) > widths[0]:
        name, above = "", f"{name}\n"
    cells = (row[i].rjust(widths[i]) for i in columns)
    return above + GAP.join([name.ljust(widths[0]), *cells]).rstrip()
