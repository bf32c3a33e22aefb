"""Tables as text, for a terminal or as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def text_table(
    rows: Iterable[Sequence[Any]],
    headers: Sequence[str] = (),
    style: str = "simple",
    align: Sequence[str] | None = None,
    max_widths: Sequence[int | None] | None = None,
) -> str:
    """Return rows as a table of text; numbers that are text stay as they are written.

    Args:
        rows: the values of each row; they must be printable.
        headers: names of the columns, if the table has a header.
        style: "simple" (a line under the header), "plain" (no line) or "pipe" (Markdown).
        align: "left" or "right" for each column.
        max_widths: characters of each column at most, with None for no limit.
    """
    from tabulate import tabulate

    text: str = tabulate(
        list(rows),
        headers,
        tablefmt=style,
        disable_numparse=True,
        colalign=align,
        maxcolwidths=max_widths,
    )
    return text
