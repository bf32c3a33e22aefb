"""Values for paper tables, and parts of the tables to compare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.analysis.tables.entries import value_text
from distillation_bench.bench.analysis.tables.leaderboard import leaderboards
from distillation_bench.bench.analysis.tables.notes import Signs, shared_notes
from distillation_bench.bench.analysis.tables.table import Table
from distillation_bench.bench.storage.tables import CellKey


def of(metric: str, **labels: list[float]) -> dict[CellKey, dict[str, float]]:
    """Return values of one metric on dataset d: by label, one value for each seed."""
    return {
        ("d", label, seed): {metric: value}
        for label, values in labels.items()
        for seed, value in enumerate(values)
    }


def entries(table: Table) -> dict[str, Any]:
    """Return the entries of a table with one column, by label."""
    return {entry.label: entry for entry in table.entries.itertuples()}


def row(table: Table, number: int) -> dict[str, Any]:
    """Return the entries of a row, by the header of the column."""
    own = table.entries[table.entries["row"].eq(number)]
    return {table.columns[entry.column]: entry for entry in own.itertuples()}


def texts(table: Table, number: int) -> list[str]:
    """Return the texts of a row."""
    return table.cells(value_text)[number]


def board_of(results: Results, dataset: str, labels: Sequence[str] = ()) -> Table:
    """Return the leaderboard of a dataset."""
    return leaderboards(results, [dataset], labels)[0]


def notes(table: Table) -> str:
    shared = shared_notes(table.entries, Signs("Bold", "underlined", "~"))
    return " ".join([*shared, *table.notes])
