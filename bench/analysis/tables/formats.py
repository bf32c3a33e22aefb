"""Tables as plain text, Markdown, CSV, LaTeX and LaTeX macros."""

from __future__ import annotations

import hashlib
import io
import math
import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence

from distillation_bench.bench.analysis.chance_level import CHANCE_SIGN
from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.analysis.tables.entries import Entry, Table
from distillation_bench.bench.analysis.tables.footnotes import notes
from distillation_bench.bench.analysis.tables.latex import escape, floats, parts, preamble, tabular
from distillation_bench.bench.analysis.tables.text_tables import (
    aligned,
    filled,
    piped,
    terminal_width,
)
from distillation_bench.bench.analysis.values_at_bounds import BOUND_SIGN
from distillation_bench.bench.common.text import terminal_safe
from distillation_bench.bench.storage.formats.csv_files import csv_writer, spreadsheet_safe

WIDTH = 125
"""Characters that fit a page: what is beyond goes into a further table."""


# Plain text and Markdown


def as_text(tables: Sequence[Table], width: int | None = None) -> str:
    """For a terminal, of its width unless given."""
    width = width or terminal_width()
    shown = []
    for table in tables:
        rows = [
            [terminal_safe(name), *(_plain(entry, table) for entry in row)]
            for name, row in table.rows
        ]
        headers = [table.corner, *map(terminal_safe, table.columns)]
        explained = (filled(terminal_safe(note), width) for note in notes(table, ("*", "'")))
        shown += [
            terminal_safe(table.title),
            aligned([headers, *rows], width),
            "\n".join(explained),
        ]
    return "\n\n".join(shown) + "\n"


def _plain(entry: Entry, table: Table) -> str:
    mark = CHANCE_SIGN if entry.is_of_chance else {"best": "*", "second": "'", "": " "}[entry.mark]
    # The same width behind each figure keeps them aligned.
    signs = _sign("†", entry.level, any(each.level for each in table.entries))
    signs += _sign(BOUND_SIGN, entry.at_bound, any(each.at_bound for each in table.entries))
    return f"{_figure(entry, table.seeds)} {mark}{signs}"


def _sign(sign: str, is_here: object, is_somewhere: bool) -> str:
    return sign if is_here else " " * is_somewhere


def _figure(entry: Entry, usual: int) -> str:
    """Mean ± deviation in the printed unit, with the n where it is not the usual one."""
    if entry.summary is None:
        return entry.empty
    what, summary = entry.quantity, entry.summary
    text = what.text(summary.mean)
    if math.isfinite(summary.deviation) and (summary.deviation or not what.exact):
        text += f" ± {what.text(summary.deviation)}"
    return text if summary.n == usual else f"{text} ({summary.n})"


def as_markdown(tables: Sequence[Table]) -> str:
    """For a README or an issue."""
    shown = []
    for table in tables:
        rows = [
            [_markdown(name), *(_marked_down(entry, table.seeds) for entry in row)]
            for name, row in table.rows
        ]
        headers = [table.corner, *map(_markdown, table.columns)]
        legend = "**bold**", "_italic_"
        signs = "\0", "\1"
        text = _markdown(" ".join(notes(table, signs)), kept=signs)
        for sign, word in zip(signs, legend, strict=True):
            text = text.replace(sign, word)
        shown += [f"### {_markdown(table.title)}", piped(rows, headers), text]
    return "\n\n".join(shown) + "\n"


def _marked_down(entry: Entry, usual: int) -> str:
    text = _figure(entry, usual)
    text = {"best": f"**{text}**", "second": f"_{text}_", "": text}[entry.mark]
    signs = ("†" if entry.level else "", BOUND_SIGN if entry.at_bound else "")
    return " ".join(
        [text, *filter(None, signs), *([f"\\{CHANCE_SIGN}"] if entry.is_of_chance else [])]
    )


def _markdown(text: str, kept: Sequence[str] = ()) -> str:
    signs = (sign if sign in kept else terminal_safe(sign) for sign in text)
    return re.sub(r"([\\`*_\[\]<>|#~&$])", r"\\\1", "".join(signs))


# CSV

CSV_COLUMNS = (
    *("dataset", "label", "method", "metric", "quantity", "unit", "n", "planned", "mean"),
    *("deviation", "mark", "level", "empty", "chance", "at_bound"),
)
LEVEL = {True: "yes", False: "no", None: ""}


def as_csv(tables: Sequence[Table], results: Results) -> str:
    """A row a figure, unrounded, in the unit that is printed.

    `level` is yes or no of what a test could tell from the best, `empty` why there is no figure.
    `chance` is of detectors: whether the teacher itself is `better` or `worse` than chance (then
    nothing is best), or it is `unknown`; `at_bound` the seeds whose temperature is at a bound.
    """
    text = io.StringIO()
    rows = csv_writer(text)
    rows.writerow(CSV_COLUMNS)
    for entry in _all(tables):
        what, summary = entry.quantity, entry.summary
        numbers = [_number(summary.mean), _number(summary.deviation)] if summary else ["", ""]
        names = [entry.dataset, entry.label, results.methods.get(entry.label, "published")]
        names += [str(what.metric), what.name, what.unit]
        shown = [entry.mark, LEVEL[entry.level], "" if summary else entry.empty]
        shown += [entry.standing.verdict if entry.standing else "", str(entry.at_bound or "")]
        row = [*names, entry.n, entry.planned, *numbers, *shown]
        rows.writerow(map(spreadsheet_safe, row))
    return text.getvalue()


def _number(value: float) -> str:
    return repr(value)


def _all(tables: Sequence[Table]) -> Iterator[Entry]:
    return (entry for table in tables for entry in table.entries)


# LaTeX


def as_latex(tables: Sequence[Table], caption: str = "", label: str = "") -> str:
    """Floats that fit a page; what has too many rows or columns goes on in further ones.

    Args:
        tables: which.
        caption: text before what is always said; else the table's title.
        label: of the first table, a prefix for several; else `tab:NAME`.
    """
    grey = any(entry.is_of_chance for entry in _all(tables))
    text = [preamble("xcolor") if grey else preamble()]
    for table in tables:
        name = label if label and len(tables) == 1 else f"{label or 'tab'}:{table.name}"
        title = escape(caption or table.title).rstrip(".")
        said = notes(table, ("Bold", "underlined"), reasons=False, grey="Grey")
        explained = escape(" ".join(said))
        pages = [
            _tabular(table, rows, columns)
            for columns in _wide(table)
            for rows in parts(len(table.rows))
        ]
        text += floats(pages, title, explained, name)
    return "\n".join(text)


def _wide(table: Table) -> Iterator[range]:
    """Columns that fit beside each other, at least one."""
    names = max(len(name) for name, _ in table.rows)
    first, width = 0, names
    for number, header in enumerate(table.columns):
        cells = max(len(_figure(row[number], table.seeds)) for _, row in table.rows)
        column = 2 + max(cells, *map(len, _header_lines(header)))
        if number > first and width + column > WIDTH:
            yield range(first, number)
            first, width = number, names
        width += column
    yield range(first, len(table.columns))


def _tabular(table: Table, rows: range, columns: range) -> str:
    headers = [table.corner, *(_header(table.columns[i]) for i in columns)]
    body: list[list[str]] = []
    for number in rows:
        name, entries = table.rows[number]
        if number in table.rules and number != rows.start:
            body.append([])
        body.append([escape(name), *(_tex(entries[i], table.seeds) for i in columns)])
    return tabular(headers, body, f"l{'r' * len(columns)}")


def _header(text: str) -> str:
    lines = r" \\ ".join(map(escape, _header_lines(text)))
    return rf"\shortstack[r]{{{lines}}}" if r"\\" in lines else lines


def _header_lines(text: str) -> list[str]:
    """Words under each other, the unit and the arrow last: a column as narrow as its figures."""
    name, bracket, unit = text.rpartition(" [")
    if bracket and "]" in unit:
        return [*_wrapped(name), f"[{unit}"]
    return _wrapped(text.replace(" ↑", "\N{NO-BREAK SPACE}↑").replace(" ↓", "\N{NO-BREAK SPACE}↓"))


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 7, break_long_words=False, break_on_hyphens=False) or [text]


def _tex(entry: Entry, usual: int) -> str:
    mean, sign, rest = _figure(entry, usual).partition(" ±")
    text = escape(mean) + (rf"{{\scriptsize$\,\pm${escape(rest)}}}" if sign else "")
    if entry.summary is None:
        text = rf"\textit{{{text}}}"
    text = {"best": rf"\textbf{{{text}}}", "second": rf"\underline{{{text}}}", "": text}[entry.mark]
    if entry.is_of_chance:
        text = rf"\textcolor{{gray}}{{{text}}}"
    signs = [r"^\dagger"] * bool(entry.level) + [r"^\ddagger"] * bool(entry.at_bound)
    return rf"{text}\rlap{{${'{}'.join(signs)}$}}" if signs else text


# Macros

NUMBERS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


def as_macros(tables: Sequence[Table]) -> str:
    r"""A `\newcommand` a figure: the mean with its deviation, and with `Mean` behind it alone.

    A name is `\res`, dataset, method and metric: words begin with capitals, digits and + are
    spelled, other signs left out. Names that would be the same get a hash of what they stand for.
    """
    keys = {
        (entry.dataset, entry.label, str(entry.quantity.metric), part): entry
        for entry in _all(tables)
        for part in ("", "mean")
    }
    plain = {key: "res" + "".join(map(_camel, key)) for key in keys}
    shared = Counter(plain.values())
    lines = []
    for key, entry in keys.items():
        name = plain[key] if shared[plain[key]] == 1 else plain[key] + _letters(key)
        text = _figure(entry, entry.n)
        if key[-1]:
            text = text.partition(" ± ")[0]
        unit = f" {entry.quantity.unit}".rstrip()
        chance = ", the teacher itself is worse than chance" if entry.is_of_chance else ""
        comment = f"{entry.dataset}, {entry.label}, {key[2]}:{unit} n = {entry.n}{chance}"
        comment = terminal_safe(comment)
        comment = comment.encode("ascii", "backslashreplace").decode()
        lines.append(rf"\newcommand{{\{name}}}{{{escape(text)}}} % {comment}")
    return "\n".join(lines) + "\n"


def _camel(text: str) -> str:
    words = re.findall(r"[A-Za-z]+|[0-9]|\+", text)
    return "".join("Plus" if w == "+" else _word(w) for w in words)


def _word(word: str) -> str:
    return NUMBERS[int(word)] if word.isdigit() else word[0].upper() + word[1:]


def _letters(key: Sequence[str]) -> str:
    """Six letters that stand for a key."""
    code = hashlib.sha256(repr(tuple(key)).encode()).hexdigest()[:6]
    return "".join(chr(ord("a") + int(digit, 16)) for digit in code)
