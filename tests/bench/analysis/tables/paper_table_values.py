"""Values for paper tables, and parts of the tables to compare."""

from __future__ import annotations

from distillation_bench.bench.analysis.tables.table_model import (
    PaperTable,
    TableEntry,
)
from distillation_bench.bench.analysis.tables.table_notes import table_notes
from distillation_bench.bench.storage.tables import CellKey


def of(metric: str, **labels: list[float]) -> dict[CellKey, dict[str, float]]:
    """Return values of one metric on dataset d: by label, one value for each seed."""
    return {
        ("d", label, seed): {metric: value}
        for label, values in labels.items()
        for seed, value in enumerate(values)
    }


def entries(table: PaperTable) -> dict[str, TableEntry]:
    """Return the cells of a table with one column, by label."""
    return {name: row[0] for name, row in table.rows}


def notes(table: PaperTable) -> str:
    return " ".join(table_notes(table, ("Bold", "underlined")))
