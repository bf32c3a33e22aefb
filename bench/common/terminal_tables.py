"""Tables as text, for a terminal or as Markdown, and the width that a terminal has."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

WIDTH_WITHOUT_TERMINAL = 100
"""Characters per line if the output is not a terminal, unless COLUMNS is set."""
GAP = 2
"""Spaces between columns."""
KEPT_SPACE = "\ue000"
"""Stands for a space at the end of a cell."""
NARROWEST_TEXT = 20
"""Characters that a column of wrapped text has at least."""


def terminal_width() -> int:
    """Return the characters per line: COLUMNS, else the terminal's, else 100."""
    return shutil.get_terminal_size((WIDTH_WITHOUT_TERMINAL, 24)).columns


def wrap_words(text: str, width: int | None = None) -> str:
    """Wrap text to a width, by default the terminal's; a longer word stays whole."""
    width = width or terminal_width()
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)


def text_table(
    rows: Iterable[Sequence[Any]],
    headers: Sequence[str] = (),
    style: str = "simple",
    align: Sequence[str] = (),
    names: int = 1,
    width: int | None = None,
) -> str:
    """Return rows as a table of text that fits a width; text that looks like a number stays.

    Columns that do not fit are continued below, beside the names of the rows, under a line that
    names them. A last column of text is wrapped, and so are names of more than half the width.

    Args:
        rows: the values of each row; they must be printable.
        headers: names of the columns, if the table has a header.
        style: "simple" (a line under the header), "plain" (no line) or "pipe" (Markdown, which has
            no width).
        align: "left" or "right" for each column; by default all are to the left.
        names: how many columns are names of rows.
        width: characters per line; by default the terminal's.
    """
    texts = [[_kept(str(value)) for value in row] for row in rows]
    lines = [list(headers), *texts] if headers else texts
    align = align or ["left"] * max(map(len, lines), default=0)
    if style == "pipe" or not lines:
        return _tabulated(texts, headers, style, align, ())
    width = width or terminal_width()
    limits = _column_widths(lines, names, width, wraps_last=align[-1] == "left")
    space = width - sum(limits[:names]) - GAP * (names - 1)
    blocks = fitting_columns([GAP + limit for limit in limits[names:]], space) or [range(0)]
    parts: list[str] = []
    for block in blocks:
        shown = [*range(names), *(names + i for i in block)]
        head, body = (
            [headers[i] for i in shown if headers],
            [[row[i] for i in shown] for row in texts],
        )
        if parts and headers:
            parts.append(wrap_words(f"goes on: {', '.join(head[names:])}", width))
        of_columns = [align[i] for i in shown], [limits[i] for i in shown]
        parts.append(_tabulated(body, head, style, *of_columns))
    return "\n\n".join(parts)


def _kept(text: str) -> str:
    """Return a text with spaces at its end that tabulate does not remove."""
    words = text.rstrip(" ")
    return words + KEPT_SPACE * (len(text) - len(words))


def _column_widths(
    lines: Sequence[Sequence[str]], names: int, width: int, wraps_last: bool
) -> list[int]:
    """Return the characters of each column, of which texts may have fewer than their longest."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    widths[:names] = [min(size, width // (2 * names)) for size in widths[:names]]
    if wraps_last:
        left = width - sum(widths[:-1]) - GAP * (len(widths) - 1)
        widths[-1] = min(widths[-1], max(NARROWEST_TEXT, left))
    return widths


def fitting_columns(sizes: Sequence[int], space: int) -> list[range]:
    """Return the indices of the columns of each block: few blocks that are about as wide.

    Args:
        sizes: width of each column, with its gap.
        space: width of a block, which only a column that is wider exceeds.
    """
    # From the end: the number of blocks, the sum of their widths squared, and the blocks.
    best: list[tuple[int, int, list[range]]] = [(0, 0, [])]
    for start in reversed(range(len(sizes))):
        options, used = [], 0
        for end in range(start, len(sizes)):
            used += sizes[end]
            if used > space and end > start:
                break
            count, squares, blocks = best[len(sizes) - 1 - end]
            options.append((count + 1, squares + used**2, [range(start, end + 1), *blocks]))
        best.append(min(reversed(options), key=lambda option: option[:2]))
    return best[-1][2]


def _tabulated(
    rows: Sequence[Sequence[str]],
    headers: Sequence[str],
    style: str,
    align: Sequence[str],
    limits: Sequence[int],
) -> str:
    from tabulate import tabulate

    if style == "simple" and headers:
        # As rows, for tabulate makes a column two characters wider than its header.
        rows, headers, style = [headers, ["-" * n for n in limits], *rows], (), "plain"
    # Wrapping takes time and joins spaces: only where a cell is too long.
    is_long = any(len(c) > n for row in rows for c, n in zip(row, limits, strict=False))
    text: str = tabulate(
        rows,
        headers,
        tablefmt=style,
        disable_numparse=True,
        colalign=align if rows else None,
        maxcolwidths=list(limits) if is_long else None,
    )
    return "\n".join(line.replace(KEPT_SPACE, " ").rstrip() for line in text.splitlines())
