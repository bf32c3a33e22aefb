"""Text escaped for Markdown, and tables of Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from distillation_bench.bench.common.terminal_tables import text_table
from distillation_bench.bench.common.text import terminal_safe


def escape_markdown(text: str) -> str:
    """Return Markdown that shows a text as it is: no emphasis, link, tag or end of a cell."""
    return re.sub(r"([\\`*_\[\]<>|#~&$])", r"\\\1", terminal_safe(text))


def emphasised(markdown: str, mark: str) -> str:
    """Return Markdown of a value in bold for the mark `best`, in italics for `second`."""
    return {"best": f"**{markdown}**", "second": f"_{markdown}_"}.get(mark, markdown)


def markdown_table(
    rows: Sequence[Sequence[str]], headers: Sequence[str], left: Sequence[int] = ()
) -> str:
    """Return a table of cells that are Markdown already.

    Args:
        rows: cells of each row.
        headers: header of each column.
        left: indices of further columns than the first that are aligned to the left.
    """
    align = ["left" if i == 0 or i in left else "right" for i in range(len(headers))]
    return text_table(rows, headers, style="pipe", align=align)
