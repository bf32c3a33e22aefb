"""What the tables of a run hold, made from its records.

Rows are sorted by dataset, method, label and seed, so that equal runs have equal files.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from distillation_bench.bench.common.hashing import canonical_json
from distillation_bench.bench.storage.formats.csv_files import as_csv, csv_writer
from distillation_bench.bench.storage.formats.older_formats import FORMAT, status_of_format
from distillation_bench.bench.storage.formats.schema import (
    CELL_COLUMNS,
    CELL_NAMES,
    METRIC_COLUMNS,
    RESULT_COLUMNS,
)
from distillation_bench.bench.storage.run_folder import CellEntry, Record, Run

RecordedCell = tuple[CellEntry, Record]
"""A cell and its record."""


def recorded_cells(run: Run) -> Iterator[RecordedCell]:
    """Yield the cells that were asked for and have a record, in the order of the tables."""
    cells = run.existing_manifest()["cells"]
    for cell_id in sorted(cells, key=lambda cell_id: _sort_key(cells[cell_id])):
        record = run.record(cell_id)
        if record is not None:
            yield cells[cell_id], record


def _sort_key(cell: CellEntry) -> tuple[str, str, str, int]:
    return cell["dataset"], cell["method"], cell["label"], cell["seed"]


def results_csv(cells: Iterable[RecordedCell], number: int = FORMAT) -> bytes:
    """Return results.csv in a format, one row per cell: its status and its headline values."""
    rows = [
        {
            **_names(cell),
            "status": status_of_format(record["status"], number),
            **record["headline"],
        }
        for cell, record in cells
    ]
    metrics = sorted({name for row in rows for name in row} - set(RESULT_COLUMNS))
    return as_csv([*RESULT_COLUMNS, *metrics], rows)


def cells_csv(cells: Iterable[RecordedCell]) -> bytes:
    """Return cells.csv, one row per cell: what a record holds beside its values."""
    rows = [_cell_row(cell, record) for cell, record in cells]
    timings = sorted({name for row in rows for name in row} - set(CELL_COLUMNS))
    return as_csv([*CELL_COLUMNS, *timings], rows)


def _cell_row(cell: CellEntry, record: Record) -> dict[str, Any]:
    return {
        **_names(cell),
        **{name: record[name] for name in ("id", "status", "reason", "finished", "commit")},
        "environment": canonical_json(record["environment"]),
        # Older versions wrote no checksum of the history; there may be one.
        "history": "false" if record.get("history") == "" else "true",
        "curves": "true" if record["curves"] else "false",
        **record["timings"],
    }


def metrics_header() -> bytes:
    """Return the first line of metrics.csv."""
    return as_csv(METRIC_COLUMNS, [])


def metrics_rows(cell: Mapping[str, Any], record: Record) -> str:
    """Return a cell's lines of metrics.csv, one per value."""
    text = io.StringIO()
    names, rows = _names(cell).values(), csv_writer(text)
    for evaluation_set in record["sets"]:
        location = (evaluation_set[name] for name in ("set", "shift", "severity"))
        columns = (*names, *location)
        for key, value in sorted(evaluation_set["values"].items()):
            metric, _, score = key.partition(":")
            rows.writerow((*columns, metric, score, value))
    return text.getvalue()


def done_seconds(cells: Iterable[RecordedCell]) -> dict[str, float]:
    """Return the seconds that each done cell took, by id."""
    done = (record for _, record in cells if record["status"] == "done")
    return {record["id"]: record["timings"]["seconds"] for record in done}


def _names(cell: Mapping[str, Any]) -> dict[str, Any]:
    return {name: cell[name] for name in CELL_NAMES}
