"""Tables for LaTeX, and values as LaTeX macros."""

from __future__ import annotations

import hashlib
import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence

from distillation_bench.bench.analysis.markup.latex import escape_latex
from distillation_bench.bench.analysis.markup.latex_tables import (
    floats,
    preamble,
    split_rows,
    tabular,
)
from distillation_bench.bench.analysis.tables.table_model import (
    PaperTable,
    TableEntry,
    value_text,
)
from distillation_bench.bench.analysis.tables.table_notes import table_notes
from distillation_bench.bench.common.text import terminal_safe

PAGE_WIDTH = 125
"""Characters that fit a page; further columns go into another table."""
DIGIT_WORDS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")

MacroKey = tuple[str, str, str, str]
"""Dataset, label, metric, and `mean` or nothing."""


def table_latex(tables: Sequence[PaperTable], caption: str = "", label: str = "") -> str:
    """Return floats that fit a page; tables with too many rows or columns are split.

    Args:
        tables: the tables.
        caption: text before the standard text; by default the title of the table.
        label: label of the table, or a prefix for several; by default `tab:NAME`.
    """
    is_grey = any(entry.is_below_chance for table in tables for entry in table.entries)
    text = [preamble("xcolor") if is_grey else preamble()]
    for table in tables:
        name = label if label and len(tables) == 1 else f"{label or 'tab'}:{table.name}"
        title = escape_latex(caption or table.title).rstrip(".")
        legend = ("Bold", "underlined")
        notes = table_notes(table, legend, with_reasons=False, chance_sign="Grey")
        pages = [
            _tabular(table, rows, columns)
            for columns in _fitting_columns(table)
            for rows in split_rows(len(table.rows))
        ]
        text += floats(pages, title, escape_latex(" ".join(notes)), name)
    return "\n".join(text)


def _fitting_columns(table: PaperTable) -> Iterator[range]:
    """Yield the indices of columns that fit beside each other, at least one."""
    names = max(len(name) for name, _ in table.rows)
    first, width = 0, names
    for index, header in enumerate(table.columns):
        values = max(len(value_text(row[index], table.usual_n)) for _, row in table.rows)
        column_width = 2 + max(values, *map(len, _header_lines(header)))
        if index > first and width + column_width > PAGE_WIDTH:
            yield range(first, index)
            first, width = index, names
        width += column_width
    yield range(first, len(table.columns))


def _tabular(table: PaperTable, rows: range, columns: range) -> str:
    headers = [table.corner, *(_header(table.columns[i]) for i in columns)]
    body: list[list[str]] = []
    for row in rows:
        name, entries = table.rows[row]
        if row in table.rules and row != rows.start:
            body.append([])
        body.append([escape_latex(name), *(_cell(entries[i], table.usual_n) for i in columns)])
    return tabular(headers, body, f"l{'r' * len(columns)}")


def _header(text: str) -> str:
    lines = r" \\ ".join(map(escape_latex, _header_lines(text)))
    return rf"\shortstack[r]{{{lines}}}" if r"\\" in lines else lines


def _header_lines(text: str) -> list[str]:
    """Return a header as lines, the unit and the arrow last: a column as narrow as its values."""
    name, bracket, unit = text.rpartition(" [")
    if bracket and "]" in unit:
        return [*_wrap_header(name), f"[{unit}"]
    text = text.replace(" ↑", "\N{NO-BREAK SPACE}↑").replace(" ↓", "\N{NO-BREAK SPACE}↓")
    return _wrap_header(text)


def _wrap_header(text: str) -> list[str]:
    return textwrap.wrap(text, 7, break_long_words=False, break_on_hyphens=False) or [text]


def _cell(entry: TableEntry, usual_n: int) -> str:
    mean, sign, rest = value_text(entry, usual_n).partition(" ±")
    text = escape_latex(mean) + (rf"{{\scriptsize$\,\pm${escape_latex(rest)}}}" if sign else "")
    if entry.summary is None:
        text = rf"\textit{{{text}}}"
    text = {"best": rf"\textbf{{{text}}}", "second": rf"\underline{{{text}}}", "": text}[entry.mark]
    if entry.is_below_chance:
        text = rf"\textcolor{{gray}}{{{text}}}"
    signs = [r"^\dagger"] * bool(entry.indistinguishable) + [r"^\ddagger"] * bool(entry.at_bound)
    return rf"{text}\rlap{{${'{}'.join(signs)}$}}" if signs else text


# Macros


def latex_macros(tables: Sequence[PaperTable]) -> str:
    r"""Return a `\newcommand` for each value with its deviation, and another for the mean alone.

    A name consists of `\res`, dataset, method and metric, and `Mean` for the mean: words begin with
    capitals, digits and + are spelled, other characters left out. Names that would be equal get a
    hash of what they stand for.
    """
    entries: dict[MacroKey, TableEntry] = {
        (entry.dataset, entry.label, str(entry.format.metric), part): entry
        for table in tables
        for entry in table.entries
        for part in ("", "mean")
    }
    names = {key: "res" + "".join(map(_camel_case, key)) for key in entries}
    counts = Counter(names.values())
    unique = {k: name if counts[name] == 1 else name + _letters(k) for k, name in names.items()}
    return "".join(_macro(unique[key], key, entry) for key, entry in entries.items()) or "\n"


def _macro(name: str, key: MacroKey, entry: TableEntry) -> str:
    text = value_text(entry, entry.n)
    if key[-1]:
        text = text.partition(" ± ")[0]
    unit = f" {entry.format.unit}".rstrip()
    chance = ", the teacher itself is worse than chance" if entry.is_below_chance else ""
    comment = f"{entry.dataset}, {entry.label}, {key[2]}:{unit} n = {entry.n}{chance}"
    comment = terminal_safe(comment).encode("ascii", "backslashreplace").decode()
    return rf"\newcommand{{\{name}}}{{{escape_latex(text)}}} % {comment}" + "\n"


def _camel_case(text: str) -> str:
    words = re.findall(r"[A-Za-z]+|[0-9]|\+", text)
    return "".join("Plus" if word == "+" else _word(word) for word in words)


def _word(word: str) -> str:
    return DIGIT_WORDS[int(word)] if word.isdigit() else word[0].upper() + word[1:]


def _letters(key: Sequence[str]) -> str:
    """Return six letters that stand for a key."""
    code = hashlib.sha256(repr(tuple(key)).encode()).hexdigest()[:6]
    return "".join(chr(ord("a") + int(digit, 16)) for digit in code)
