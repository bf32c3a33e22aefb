"""Several runs as one: a common description, and for each cell the run whose record counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.storage import tables
from distillation_bench.bench.storage.protocol import Protocols
from distillation_bench.bench.storage.run_folder import Run
from distillation_bench.bench.storage.tables import CellKey, cell_key

_BY_NAME = ("recipes", "ood", "remarks", "metrics")
"""Parts of run.json in which the first run that has an entry decides."""


@dataclass(frozen=True)
class JoinedRuns:
    """What runs hold together.

    Attributes:
        manifest: the common description; a cell has its `label`, which may be marked, and its
            `own_label` if it is.
        rows: of results.csv, by dataset, label and seed.
        holders: by cell's id, the run whose record counts.
    """

    manifest: Mapping[str, Any]
    rows: Mapping[CellKey, Mapping[str, str]]
    holders: Mapping[str, Run]


def join_runs(
    runs: Sequence[Run], mixed: bool = False, agree: bool = True, unfinished: bool = False
) -> JoinedRuns:
    """Join runs; of the runs that hold a cell, the first in which it is `done` counts.

    Args:
        runs: each with at least one cell that is done, unless `unfinished`.
        mixed: mark the labels of cells of another protocol, instead of refusing them.
        agree: demand that a cell which is done in several runs has the same values in all.
        unfinished: take runs of which no cell is done, too.

    Raises:
        UsageError: a folder is not a run or no cell of it is done; values of a cell differ.
        ProtocolClash: runs have different protocols, or a label stands for more than one thing.
    """
    joining = _Joining(runs, mixed, agree, unfinished)
    for run in runs:
        joining.add(run)
    return joining.joined()


class _Joining:
    """Runs that are joined one after another."""

    def __init__(self, runs: Sequence[Run], mixed: bool, agree: bool, unfinished: bool) -> None:
        self._agree = agree
        self._unfinished = unfinished
        self._protocols = Protocols(runs, mixed)
        self._parts: dict[str, dict[str, Any]] = {part: {} for part in _BY_NAME}
        self._methods: dict[str, Any] = {}
        self._cells: dict[str, dict[str, Any]] = {}
        self._rows: dict[CellKey, Mapping[str, str]] = {}
        self._holders: dict[str, Run] = {}

    def joined(self) -> JoinedRuns:
        methods = list(self._methods.values())
        manifest = {"cells": self._cells, **self._parts, "methods": methods}
        return JoinedRuns(manifest, self._rows, self._holders)

    def add(self, run: Run) -> None:
        manifest, rows = _read(run, self._unfinished)
        self._protocols.enter(run, manifest)
        for part, entries in self._parts.items():
            entries |= {k: v for k, v in manifest.get(part, {}).items() if k not in entries}
        self._methods |= {method["name"]: method for method in manifest["methods"]}
        row_of = {cell_key(row): row for row in rows}
        for cell_id, cell in manifest["cells"].items():
            row = row_of.get(cell_key(cell))
            if row is None and run.has_damaged_record(cell_id):
                raise UsageError(f"{run.cells / cell_id}.json: damaged, or of another version")
            if not self._counts_already(run, cell_id, row):
                self._take(run, manifest, cell_id, row)

    def _counts_already(self, run: Run, cell_id: str, row: Mapping[str, str] | None) -> bool:
        """Whether another run's record of a cell is preferred to this run's row."""
        if cell_id not in self._holders:
            return False
        if row is None or row["status"] != "done":
            return True
        earlier = self._rows.get(cell_key(self._cells[cell_id]))
        if not earlier or earlier["status"] != "done":
            return False
        if self._agree:
            _check_agreement(run, row, self._holders[cell_id], earlier)
        return True

    def _take(
        self, run: Run, manifest: Mapping[str, Any], cell_id: str, row: Mapping[str, str] | None
    ) -> None:
        cell = manifest["cells"][cell_id]
        label = self._protocols.label(run, manifest, cell_id, cell)
        marked = {} if label == cell["label"] else {"label": label, "own_label": cell["label"]}
        self._cells[cell_id] = {**cell, **marked}
        self._holders[cell_id] = run
        if row is not None:
            self._rows[cell["dataset"], label, cell["seed"]] = {**row, "label": label}


def _read(run: Run, unfinished: bool) -> tuple[dict[str, Any], list[dict[str, str]]]:
    manifest = run.existing_manifest()
    rows = tables.results(run, manifest)
    if unfinished:
        return manifest, rows
    if not rows:
        damaged = any(map(run.has_damaged_record, manifest["cells"]))
        what = "every record is damaged (see verify)" if damaged else "no cell is finished yet"
        raise UsageError(f"{run.folder}: {what}")
    if all(row["status"] != "done" for row in rows):
        statuses = " or ".join(sorted({row["status"] for row in rows}))
        raise UsageError(f"{run.folder}: no cell has values, all are {statuses}")
    return manifest, rows


def _check_agreement(
    run: Run, row: Mapping[str, str], holder: Run, earlier: Mapping[str, str]
) -> None:
    """Compare a cell's rows of two runs, except their labels, of which one may be marked."""
    ours, theirs = (
        {name: text for name, text in values.items() if text and name != "label"}
        for values in (row, earlier)
    )
    if ours != theirs:
        name = f"{row['dataset']} {row['label']} seed {row['seed']}"
        raise UsageError(f"{run.folder}: {name} has other values in {holder.folder}")
