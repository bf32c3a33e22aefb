"""A table of results, and its forms: for the terminal, Markdown, notebooks and CSV."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Any

import numpy as np
import pandas as pd

from distillation_bench.bench.analysis.tables.entries import is_below_chance, value_text
from distillation_bench.bench.analysis.tables.notes import Signs, entries_of, shared_notes
from distillation_bench.bench.analysis.tables.table_latex import tables_latex
from distillation_bench.bench.analysis.values_at_bounds import BOUND_SIGN
from distillation_bench.bench.common.terminal_tables import terminal_width, text_table, wrap_words
from distillation_bench.bench.common.text import CHANCE_SIGN, terminal_safe
from distillation_bench.bench.storage.formats.csv_files import csv_writer, spreadsheet_safe

INDISTINGUISHABLE_SIGN = "†"
SIGNS = Signs("*", "'", CHANCE_SIGN)
TEXT_MARKS = {"best": SIGNS.best, "second": SIGNS.second, "": " "}
MARKDOWN_MARKS = {"best": "**", "second": "_", "": ""}
HTML_STYLES = {"best": "font-weight: bold", "second": "text-decoration: underline", "": ""}
CSV_COLUMNS = (
    *("dataset", "label", "method", "metric", "quantity", "unit", "n", "planned", "mean"),
    *("deviation", "mark", "level", "empty", "chance", "at_bound"),
)


@dataclass(frozen=True, repr=False)
class Table:
    """A table of values, rows by columns.

    Attributes:
        name, title: of the dataset or the metric that it is of.
        corner: header of the first column, which says what rows are.
        rows, columns: their headers.
        entries: the values, see `entries.make_entries`, with the numbers of their `row` and
            `column`, their `text`, and `usual`, the n that is not printed behind a value.
        remarks: what must be said of this table beside the shared notes.
        missing: which cells have no values, and how many: sentences without a full stop; the
            reason of each.
        rule: the row that a thin line is above, between references and students; 0 for none.
        counts: cells of a last column n; empty for none.
    """

    name: str
    title: str
    corner: str
    rows: list[str]
    columns: list[str]
    entries: pd.DataFrame
    remarks: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    rule: int = 0
    counts: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        return tables_text([self])

    def cells(self, write: Callable[[Any], str], empty: str = "–") -> list[list[str]]:
        """Return the texts of each row, without its header; `write` returns that of an entry."""
        cells = [[empty] * len(self.columns) for _ in self.rows]
        for entry in self.entries.itertuples(index=False):
            cells[entry.row][entry.column] = write(entry)
        counts = [[n] for n in self.counts] or [[]] * len(self.rows)
        return [[*row, *n] for row, n in zip(cells, counts, strict=True)]

    @property
    def headers(self) -> list[str]:
        """Headers of all columns but the first."""
        return [*self.columns, *["n"] * bool(self.counts)]

    def text(self, write: Callable[[Any], str], escape: Callable[[str], str], **layout: Any) -> str:
        """Return the rows with their headers, as `text_table` lays them out."""
        lines = zip(map(escape, self.rows), self.cells(write), strict=True)
        headers = [self.corner, *map(escape, self.headers)]
        align = ["left", *["right"] * len(self.headers)]
        return text_table([[name, *row] for name, row in lines], headers, align=align, **layout)

    @property
    def notes(self) -> list[str]:
        """What must be said of this table alone."""
        missing = (f"{text}: {why}" if why else text for text, why in self.missing.items())
        return [*self.remarks, *(f"{text}." for text in missing)]

    def transposed(self, corner: str) -> Table:
        """Return the table with its rows as columns."""
        turned = self.entries.rename(columns={"row": "column", "column": "row"})
        return replace(
            self,
            corner=corner,
            rows=self.columns,
            columns=self.rows,
            entries=turned,
            rule=0,
            counts=[],
        )

    # Forms

    @property
    def table(self) -> pd.DataFrame:
        """The texts of the values, without marks."""
        rows = pd.Index(self.rows, name=self.corner)
        return pd.DataFrame(self.cells(value_text), index=rows, columns=self.headers)

    @property
    def style(self) -> Any:
        """A pandas Styler: best bold, second underlined, worse than chance grey."""
        styles = np.array(self.cells(_html_style, ""), dtype=object)
        if self.counts:
            styles[:, -1] = ""
        unique = self.table.reset_index().set_axis([self.corner, *self.headers], axis=1)
        styler = unique.style.hide(axis="index").format(escape="html")
        styler = styler.format_index(escape="html", axis=1).set_caption(_html(self.title))
        return styler.apply(lambda _: np.insert(styles, 0, "", axis=1), axis=None)

    def _repr_html_(self) -> str:
        notes = [*shared_notes(self.entries, Signs("Bold", "underlined", "Grey")), *self.notes]
        return f"{self.style.to_html()}<p>{'<br>'.join(map(_html, notes))}</p>"

    def to_latex(self) -> str:
        """Return a float or more, with the notes below the first."""
        return tables_latex([self])

    def to_markdown(self) -> str:
        """Return the table with its notes as Markdown."""
        return tables_markdown([self])


def _html(text: str) -> str:
    from markupsafe import escape

    return str(escape(terminal_safe(text)))


def _html_style(entry: Any) -> str:
    return "color: gray" if is_below_chance(entry) else HTML_STYLES[entry.mark]


# For the terminal, Markdown and CSV


def tables_text(
    tables: Sequence[Table],
    more: Sequence[Table] = (),
    notes: Sequence[str] = (),
    width: int | None = None,
) -> str:
    """Return tables for a terminal.

    Args:
        tables: the tables.
        more: tables whose entries are no values over seeds, such as ranks.
        notes: what must be said beside the shared notes.
        width: characters per line; by default the terminal's.
    """
    width = width or terminal_width()

    def wrapped(lines: Sequence[str]) -> str:
        return "\n".join(wrap_words(terminal_safe(line), width) for line in lines)

    parts = []
    for table in (*tables, *more):
        text = table.text(_text_writer(table.entries), terminal_safe, width=width)
        parts += [wrapped([table.title]), text, wrapped(table.notes)]
    parts.append(wrapped([*shared_notes(entries_of(tables), SIGNS), *notes]))
    return "\n\n".join(filter(None, parts)) + "\n"


def _text_writer(entries: pd.DataFrame) -> Callable[[Any], str]:
    """Return what writes an entry; signs of the same width behind values keep them aligned."""
    used = (
        entries["mark"].ne("").any() or entries["chance"].eq("worse").any(),
        entries["level"].eq("yes").any(),
        entries["at_bound"].any(),
    )

    def write(entry: Any) -> str:
        mark = CHANCE_SIGN if is_below_chance(entry) else TEXT_MARKS[entry.mark]
        level = INDISTINGUISHABLE_SIGN if entry.level == "yes" else " "
        signs = compress((mark, level, BOUND_SIGN if entry.at_bound else " "), used)
        return " ".join([value_text(entry), *["".join(signs)] * any(used)])

    return write


def tables_markdown(
    tables: Sequence[Table], more: Sequence[Table] = (), notes: Sequence[str] = ()
) -> str:
    """Return tables as Markdown, for a README or an issue; see `tables_text`."""
    parts = []
    for table in (*tables, *more):
        text = table.text(_markdown_text, escape_markdown, style="pipe")
        parts += [f"### {escape_markdown(table.title)}", text, *map(escape_markdown, table.notes)]
    # The legend is the only part of the notes that is Markdown already.
    shared = shared_notes(entries_of(tables), Signs("\0", "\1", CHANCE_SIGN))
    legend = {"\0": "**bold**", "\1": "_italic_"}
    pieces = re.split("([\0\1])", " ".join([*shared, *notes]))
    parts.append("".join(legend.get(piece) or escape_markdown(piece) for piece in pieces))
    return "\n\n".join(parts) + "\n"


def escape_markdown(text: str) -> str:
    """Return Markdown that shows a text as it is: no emphasis, link, tag or end of a cell."""
    return re.sub(r"([\\`*_\[\]<>|#~&$])", r"\\\1", terminal_safe(text))


def _markdown_text(entry: Any) -> str:
    mark = MARKDOWN_MARKS[entry.mark]
    signs = [INDISTINGUISHABLE_SIGN] * (entry.level == "yes") + [BOUND_SIGN] * bool(entry.at_bound)
    signs += [escape_markdown(CHANCE_SIGN)] * is_below_chance(entry)
    return " ".join([f"{mark}{value_text(entry)}{mark}", *signs])


def tables_csv(tables: Sequence[Table], methods: dict[str, str]) -> str:
    """Return one row for each value, unrounded, in the unit that is printed.

    `level` says whether a student is not distinguishable from the best, where a test could tell.
    `empty` is the reason where there is no value. `chance` is set for metrics that detect
    something: the teacher itself is `better` or `worse` than chance (then no student is best), or
    that is `unknown`. `at_bound` is the number of seeds whose temperature is at a bound.

    Args:
        tables: the tables.
        methods: method of each label; a label without one is published.
    """
    text = io.StringIO()
    rows = csv_writer(text)
    rows.writerow(CSV_COLUMNS)
    for entry in entries_of(tables).itertuples():
        format, method = entry.format, methods.get(entry.label, "published")
        values = [repr(float(v)) if entry.n else "" for v in (entry.mean, entry.std)]
        row = [entry.dataset, entry.label, method, str(format.metric), format.name, format.unit]
        row += [entry.n, entry.planned, *values, entry.mark, entry.level]
        row += ["" if entry.n else entry.text, entry.chance, str(entry.at_bound or "")]
        rows.writerow(map(spreadsheet_safe, row))
    return text.getvalue()
