"""Text escaped for Markdown, and tables of Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from distillation_bench.bench.common.terminal_tables import text_table
from distillation_bench.bench.common.text import terminal_safe


def escape_markdown(text: str) -> str:
    """Return Markdown that shows a text as it is: no emphasis, link, tag or end of a cell."""
    return re.sub(r"([\\`*_\[\]<>|#~&$])", r"\\\1", terminal_safe(text))


def markdown_table(rows: Sequence[Sequence[str]], headers: Sequence[str]) -> str:
    """Return a table of cells that are Markdown already; the first column is to the left."""
    align = ["left", *["right"] * (len(headers) - 1)]
    return text_table(rows, headers, style="pipe", align=align)
