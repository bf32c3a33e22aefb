"""Leaderboards as sortable tables of a page, with the same values as `board` prints."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from distillation_bench.bench.analysis.old_results import Results
from distillation_bench.bench.analysis.old_summaries import Summary
from distillation_bench.bench.analysis.tables.leaderboard import (
    Leaderboard,
    leaderboards_ranked_by,
    make_leaderboards,
    ranked_labels,
    shared_ranks,
)
from distillation_bench.bench.analysis.tables.leaderboard_text import ARROWS


@dataclass(frozen=True)
class HtmlColumn:
    """The header of a metric: its name, the better direction, what it means."""

    name: str
    better: str
    meaning: str

    @property
    def arrow(self) -> str:
        """An arrow for the better direction; empty without one."""
        return ARROWS.get(self.better, "")


@dataclass(frozen=True)
class HtmlCell:
    """A value.

    Attributes:
        text: text of the value.
        key: number to sort by; empty without a value.
        mark: `best`, `second`, or `chance` if the teacher itself is worse than chance.
    """

    text: str
    key: str = ""
    mark: str = ""


@dataclass(frozen=True)
class HtmlRow:
    """The values of a variant.

    Attributes:
        label, method: the variant.
        reference: whether it is not a student.
        cells: a cell for each column.
        n: number of cells of the run in the means; None in a table of ranks.
        note: how many cells have no values, and their status.
    """

    label: str
    method: str
    reference: bool
    cells: list[HtmlCell]
    n: int | None = None
    note: str = ""


@dataclass(frozen=True)
class HtmlTable:
    """A sortable table with its heading, and lines below it."""

    title: str
    columns: list[HtmlColumn]
    rows: list[HtmlRow]
    footnotes: list[str] = field(default_factory=list)

    @property
    def has_counts(self) -> bool:
        """Whether rows say their n."""
        return any(row.n is not None for row in self.rows)


class LeaderboardTables:
    """A table for each dataset, and the average ranks over them."""

    def __init__(self, results: Results) -> None:
        self._described: Mapping[str, Any] = results.manifest["metrics"]
        self._leaderboards = make_leaderboards(results.manifest, results.rows, reasons={})
        self._methods = {label: results.methods[label] for label in results.labels()}

    @cached_property
    def tables(self) -> list[HtmlTable]:
        """The tables in order of dataset."""
        return [self._table(leaderboard) for leaderboard in self._leaderboards]

    @cached_property
    def ranks(self) -> HtmlTable | None:
        """Average ranks over datasets; None if no metric ranks at least two datasets."""
        ranks = shared_ranks(self._leaderboards)
        rows = [
            self._row(label, [_rank_cell(by_label, label) for by_label in ranks.values()])
            for label in ranked_labels(self._leaderboards, ranks)
        ]
        columns = [self._rank_column(name) for name in ranks]
        return HtmlTable("Average ranks", columns, rows) if columns else None

    @property
    def has_chance(self) -> bool:
        """Whether there is a metric in which no student is best."""
        return any(leaderboard.below_chance for leaderboard in self._leaderboards)

    @property
    def columns(self) -> list[HtmlColumn]:
        """Every metric of any table."""
        names = dict.fromkeys(name for board in self._leaderboards for name in board.metrics)
        return [self._column(name) for name in names]

    @property
    def methods(self) -> list[str]:
        """The methods of all rows, in the order of tables."""
        return list(dict.fromkeys(self._methods.values()))

    def _rank_column(self, metric: str) -> HtmlColumn:
        # Without an arrow: beside the metric's own direction it would say the opposite.
        count = len(leaderboards_ranked_by(self._leaderboards, metric))
        title = f"rank by {metric} ({count} datasets)"
        return HtmlColumn(title, "", "Average rank over datasets, 1 is best.")

    def _table(self, leaderboard: Leaderboard) -> HtmlTable:
        rows = [
            self._row(
                label,
                [_cell(summary, mark) for summary, mark in summaries],
                leaderboard.counts[label],
                leaderboard.notes[label],
                label in leaderboard.references,
            )
            for label, summaries in leaderboard.marked_rows()
        ]
        columns = [self._column(name) for name in leaderboard.metrics]
        return HtmlTable(leaderboard.dataset, columns, rows, leaderboard.footnotes)

    def _row(
        self,
        label: str,
        cells: Sequence[HtmlCell],
        n: int | None = None,
        note: str = "",
        reference: bool = False,
    ) -> HtmlRow:
        return HtmlRow(label, self._methods[label], reference, list(cells), n, note)

    def _column(self, metric: str) -> HtmlColumn:
        described = self._described[metric]
        meaning = _as_sentence(str(described.get("summary", "")))
        return HtmlColumn(metric, described["better"], meaning)


def _as_sentence(text: str) -> str:
    """Return text with a capital and a full stop."""
    text = text.strip()
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def _cell(summary: Summary | None, mark: str) -> HtmlCell:
    if summary is None:
        return HtmlCell("–")
    key = "" if math.isnan(summary.mean) else repr(summary.mean)
    return HtmlCell(str(summary), key, mark)


def _rank_cell(ranks: Mapping[str, float], label: str) -> HtmlCell:
    if label not in ranks:
        return HtmlCell("–")
    return HtmlCell(f"{ranks[label]:.2f}", repr(ranks[label]))
