"""Tables for LaTeX, and values as LaTeX macros."""

from __future__ import annotations

import hashlib
import re
import textwrap
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from distillation_bench.bench.analysis.latex import escape_latex, floats, preamble, tabulars
from distillation_bench.bench.analysis.tables.entries import is_below_chance, value_text
from distillation_bench.bench.analysis.tables.notes import (
    Signs,
    entries_of,
    seeds_text,
    shared_notes,
)
from distillation_bench.bench.common.terminal_tables import fitting_columns
from distillation_bench.bench.common.text import terminal_safe

if TYPE_CHECKING:
    from distillation_bench.bench.analysis.tables.table import Table

PAGE_WIDTH = 125
"""Characters that fit a page; further columns go into another table."""
MARK_NAMES = {"best": "bold best", "second": "underlined second"}
MARKS = {"best": r"\textbf{%s}", "second": r"\underline{%s}", "": "%s"}
DIGIT_WORDS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


def tables_latex(
    tables: Sequence[Table], caption: str = "", label: str = "", with_note: bool = True
) -> str:
    r"""Return floats that fit a page; tables with too many rows or columns are split.

    Captions are short. What holds for all tables is a macro, `\tablenote`, which the first float
    prints below its table.

    Args:
        tables: the tables.
        caption: text before the standard text; by default the title of the table.
        label: label of the table, or a prefix for several; by default `tab:NAME`.
        with_note: whether to define and print the note.
    """
    is_grey = any(_is_grey(table) for table in tables)
    text = [preamble("xcolor") if is_grey else preamble()]
    text += [note_macro(tables)] * with_note
    for number, table in enumerate(tables):
        name = label if label and len(tables) == 1 else f"{label or 'tab'}:{table.name}"
        title = escape_latex(caption or table.title).rstrip(".")
        pages = [page for columns in _column_blocks(table) for page in _pages(table, columns)]
        note = r"\tablenote" if with_note and number == 0 else ""
        text += floats(pages, title, escape_latex(_explanation(table)), name, note)
    return "\n".join(text)


def note_macro(tables: Sequence[Table]) -> str:
    r"""Return the definition of `\tablenote`: what must be said of tables, once for all."""
    notes = shared_notes(entries_of(tables), Signs("Bold", "underlined", "Grey"))
    for table in tables:
        notes += [*table.remarks, *(f"{missing}." for missing in table.missing)]
    text = escape_latex(" ".join(dict.fromkeys(notes)))
    return rf"\newcommand{{\tablenote}}{{{text}}}" + "\n"


def _explanation(table: Table) -> str:
    """Return what a caption says: what values are, and the marks that the table has."""
    entries = table.entries
    parts = [f"Mean ± std, {seeds_text(entries)}"]
    parts += [text for mark, text in MARK_NAMES.items() if entries["mark"].eq(mark).any()]
    parts += ["† not distinguishable from the best"] * bool(entries["level"].eq("yes").any())
    parts += ["grey below chance"] * _is_grey(table)
    return f"{'; '.join(parts)}.".replace("bold best; underlined", "bold best, underlined")


def _is_grey(table: Table) -> bool:
    return bool((table.entries["chance"].eq("worse") & table.entries["n"].gt(0)).any())


def _column_blocks(table: Table) -> list[range]:
    """Return the indices of the columns of each part, which fit beside each other."""
    texts = zip(*table.cells(value_text), strict=True)
    sizes = [
        2 + max(map(len, [*column, *_header_lines(header)]))
        for header, column in zip(table.headers, texts, strict=True)
    ]
    return fitting_columns(sizes, PAGE_WIDTH - max(map(len, table.rows)))


def _pages(table: Table, columns: range) -> list[str]:
    lines = zip(table.rows, table.cells(_cell, empty="--"), strict=True)
    rows = [[escape_latex(name), *(cells[i] for i in columns)] for name, cells in lines]
    headers = [table.corner, *(_header(table.headers[i]) for i in columns)]
    return tabulars(headers, rows, table.rule)


def _header(text: str) -> str:
    lines = r" \\ ".join(map(escape_latex, _header_lines(text)))
    return rf"\shortstack[r]{{{lines}}}" if r"\\" in lines else lines


def _header_lines(text: str) -> list[str]:
    """Return a header as lines, the unit and the arrow last: a column as narrow as its values."""
    name, bracket, unit = text.rpartition(" [")
    if not bracket or "]" not in unit:
        name, unit = re.sub(" (?=[↑↓])", "\N{NO-BREAK SPACE}", text), ""
    # A label may also be broken behind a bracket or a comma.
    breakable = re.sub(r"(?<=[,\[])", "\0 ", name)
    lines = textwrap.wrap(breakable, 7, break_long_words=False, break_on_hyphens=False)
    lines = [line.replace("\0 ", "").rstrip("\0") for line in lines] or [name]
    return [*lines, f"[{unit}"] if unit else lines


def _cell(entry: Any) -> str:
    mean, sign, rest = value_text(entry).partition(" ±")
    text = escape_latex(mean) + (rf"{{\scriptsize$\,\pm${escape_latex(rest)}}}" if sign else "")
    text = MARKS[entry.mark] % text if entry.n else rf"\textit{{{text}}}"
    if is_below_chance(entry):
        text = rf"\textcolor{{gray}}{{{text}}}"
    signs = [r"^\dagger"] * (entry.level == "yes") + [r"^\ddagger"] * bool(entry.at_bound)
    return rf"{text}\rlap{{${'{}'.join(signs)}$}}" if signs else text


# Macros


def latex_macros(tables: Sequence[Table]) -> str:
    r"""Return a `\newcommand` for each value with its deviation, and another for the mean alone.

    A name consists of `\res`, dataset, method and metric (`Error` where accuracy is printed as
    error), and `Mean` for the mean: words begin with capitals, digits and + are spelled, other
    characters left out. Names that would be equal get a hash of what they stand for.
    """
    entries = {
        (entry.dataset, entry.label, entry.format.printed, part): entry
        for table in tables
        for entry in table.entries.itertuples()
        for part in ("", "mean")
    }
    names = {key: "res" + "".join(map(_camel_case, key)) for key in entries}
    counts = Counter(names.values())
    unique = {k: name if counts[name] == 1 else name + _letters(k) for k, name in names.items()}
    return "".join(_macro(unique[key], *key, entry) for key, entry in entries.items()) or "\n"


def _macro(name: str, dataset: str, label: str, metric: str, part: str, entry: Any) -> str:
    text = entry.text.partition(" ± ")[0] if part else entry.text
    chance = ", the teacher itself is worse than chance" if is_below_chance(entry) else ""
    unit = f" {entry.format.unit}".rstrip()
    comment = terminal_safe(f"{dataset}, {label}, {metric}:{unit} n = {entry.n}{chance}")
    comment = comment.encode("ascii", "backslashreplace").decode()
    return rf"\newcommand{{\{name}}}{{{escape_latex(text)}}} % {comment}" + "\n"


def _camel_case(text: str) -> str:
    words = re.findall(r"[A-Za-z]+|[0-9]|\+", text)
    spelled = {"+": "Plus", **dict(zip("0123456789", DIGIT_WORDS, strict=True))}
    return "".join(spelled.get(word, word[0].upper() + word[1:]) for word in words)


def _letters(key: Sequence[str]) -> str:
    """Return six letters that stand for a key."""
    code = hashlib.sha256(repr(tuple(key)).encode()).hexdigest()[:6]
    return "".join(chr(ord("a") + int(digit, 16)) for digit in code)
