"""Tables for the terminal and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from distillation_bench.bench.analysis.markup.markdown import (
    emphasised,
    escape_markdown,
    markdown_table,
)
from distillation_bench.bench.analysis.markup.text_tables import (
    aligned_table,
    terminal_width,
    wrap_words,
)
from distillation_bench.bench.analysis.old_chance_level import CHANCE_SIGN
from distillation_bench.bench.analysis.old_values_at_bounds import BOUND_SIGN
from distillation_bench.bench.analysis.tables.table_model import (
    PaperTable,
    TableEntry,
    value_text,
)
from distillation_bench.bench.analysis.tables.table_notes import table_notes
from distillation_bench.bench.common.text import terminal_safe

INDISTINGUISHABLE_SIGN = "†"


def table_text(tables: Sequence[PaperTable], width: int | None = None) -> str:
    """Return tables for a terminal, by default of its width."""
    width = width or terminal_width()
    parts = []
    for table in tables:
        headers = [table.corner, *map(terminal_safe, table.columns)]
        rows = [
            [terminal_safe(name), *(_text_cell(entry, table) for entry in row)]
            for name, row in table.rows
        ]
        notes = (wrap_words(terminal_safe(n), width) for n in table_notes(table, ("*", "'")))
        body = aligned_table([headers, *rows], width)
        parts += [terminal_safe(table.title), body, "\n".join(notes)]
    return "\n\n".join(parts) + "\n"


def _text_cell(entry: TableEntry, table: PaperTable) -> str:
    mark = {"best": "*", "second": "'", "": " "}[entry.mark]
    mark = CHANCE_SIGN if entry.is_below_chance else mark
    # Signs of the same width behind each value keep them aligned.
    daggers = any(other.indistinguishable for other in table.entries)
    bounds = any(other.at_bound for other in table.entries)
    signs = _sign(INDISTINGUISHABLE_SIGN, entry.indistinguishable, daggers)
    signs += _sign(BOUND_SIGN, entry.at_bound, bounds)
    return f"{value_text(entry, table.usual_n)} {mark}{signs}"


def _sign(sign: str, applies: object, is_used: bool) -> str:
    return sign if applies else " " * is_used


def table_markdown(tables: Sequence[PaperTable]) -> str:
    """Return tables as Markdown, for a README or an issue."""
    parts = []
    for table in tables:
        headers = [table.corner, *map(escape_markdown, table.columns)]
        rows = [
            [escape_markdown(name), *(_markdown_cell(entry, table.usual_n) for entry in row)]
            for name, row in table.rows
        ]
        title = f"### {escape_markdown(table.title)}"
        parts += [title, markdown_table(rows, headers), _markdown_notes(table)]
    return "\n\n".join(parts) + "\n"


def _markdown_cell(entry: TableEntry, usual_n: int) -> str:
    text = emphasised(value_text(entry, usual_n), entry.mark)
    signs = [
        INDISTINGUISHABLE_SIGN if entry.indistinguishable else "",
        BOUND_SIGN if entry.at_bound else "",
        escape_markdown(CHANCE_SIGN) if entry.is_below_chance else "",
    ]
    return " ".join([text, *filter(None, signs)])


def _markdown_notes(table: PaperTable) -> str:
    """Return the notes; the legend is the only part of them that is Markdown already."""
    legend = {"\0": "**bold**", "\1": "_italic_"}
    text = " ".join(table_notes(table, ("\0", "\1")))
    parts = re.split("([\0\1])", text)
    return "".join(legend.get(part) or escape_markdown(part) for part in parts)
