"""Leaderboards as a page shows them: what `board` prints, with the value to sort each cell by."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.analysis.summaries import Summary
from distillation_bench.bench.analysis.tables.leaderboard import (
    ARROWS,
    Board,
    average_ranks,
    make_boards,
    marks_of,
    ranking,
)


@dataclass(frozen=True)
class Column:
    """A metric's heading: its name, the arrow of the better direction, what it means."""

    name: str
    better: str
    meaning: str

    @property
    def arrow(self) -> str:
        """Which way is better, as a sign; empty if neither is."""
        return ARROWS.get(self.better, "")


@dataclass(frozen=True)
class Cell:
    """A figure: its text, the number to sort by (empty if there is none), and its mark.

    `best` or `second`, or `chance` where the teacher itself is worse than that.
    """

    text: str
    key: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Row:
    """A variant's figures.

    Attributes:
        n: the number of cells in the means; None where it has no meaning.
        note: how many cells have no figures, and which status they have.
    """

    label: str
    method: str
    reference: bool
    cells: list[Cell]
    n: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A sortable table with its heading."""

    title: str
    columns: list[Column]
    rows: list[Row]
    below: list[str] = field(default_factory=list)

    @property
    def counted(self) -> bool:
        """Whether rows say their n."""
        return any(row.n is not None for row in self.rows)


class Leaderboards:
    """A table for each dataset, and the average ranks over them."""

    def __init__(self, results: Results) -> None:
        self._known: Mapping[str, Any] = results.manifest["metrics"]
        self._boards = make_boards(results.manifest, results.rows, reasons={})
        self._methods = {label: results.methods[label] for label in results.labels()}

    @cached_property
    def tables(self) -> list[Table]:
        """In order of dataset."""
        return [self._table(board) for board in self._boards]

    @cached_property
    def ranks(self) -> Table | None:
        """Average ranks over the datasets with a metric; None if no two have one in common."""
        ranks = {name: average_ranks(self._boards, name) for name in self._shared()}
        ranks = {name: each for name, each in ranks.items() if each}
        columns = [self._rank_column(name) for name in ranks]
        labels = dict.fromkeys(label for board in self._boards for label in board.rows)
        rows = [
            self._row(label, [_rank(each, label) for each in ranks.values()])
            for label in labels
            if any(label in each for each in ranks.values())
        ]
        return Table("Average ranks", columns, rows) if columns else None

    @property
    def has_chance(self) -> bool:
        """Whether there is a metric in which nothing is best."""
        return any(board.of_chance for board in self._boards)

    @property
    def columns(self) -> list[Column]:
        """Every metric that some table has."""
        names = dict.fromkeys(name for board in self._boards for name in board.metrics)
        return [self._column(name) for name in names]

    @property
    def methods(self) -> list[str]:
        """Behind the rows, in the order of tables."""
        return list(dict.fromkeys(self._methods.values()))

    def _shared(self) -> list[str]:
        names = [name for board in self._boards for name in board.metrics]
        return [name for name in dict.fromkeys(names) if len(ranking(self._boards, name)) > 1]

    def _rank_column(self, name: str) -> Column:
        # No arrow: beside a metric's own it would say the opposite.
        datasets = len(ranking(self._boards, name))
        title = f"rank by {name} ({datasets} datasets)"
        return Column(title, "", "Average rank over datasets, 1 is best.")

    def _table(self, board: Board) -> Table:
        marks = {name: marks_of(board, name) for name in board.metrics}
        rows = [
            self._row(
                label,
                [_cell(figures.get(name), marks[name].get(label, "")) for name in board.metrics],
                board.counts[label],
                board.notes[label],
                label in board.references,
            )
            for label, figures in board.rows.items()
        ]
        columns = [self._column(name) for name in board.metrics]
        return Table(board.dataset, columns, rows, board.below)

    def _row(
        self,
        label: str,
        cells: list[Cell],
        n: int | None = None,
        note: str = "",
        reference: bool = False,
    ) -> Row:
        return Row(label, self._methods[label], reference, cells, n, note)

    def _column(self, name: str) -> Column:
        described = self._known[name]
        return Column(name, described["better"], _sentence(str(described.get("summary", ""))))


def _sentence(text: str) -> str:
    """With a capital and a full stop."""
    text = text.strip()
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def _cell(summary: Summary | None, mark: str) -> Cell:
    if summary is None:
        return Cell("–")
    key = "" if math.isnan(summary.mean) else repr(summary.mean)
    return Cell(str(summary), key, mark)


def _rank(ranks: Mapping[str, float], label: str) -> Cell:
    return Cell(f"{ranks[label]:.2f}", repr(ranks[label])) if label in ranks else Cell("–")
