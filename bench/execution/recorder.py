"""Writes the record of each cell as it ends."""

from __future__ import annotations

import datetime
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from distillation_bench.bench.common.paths import ROOT
from distillation_bench.bench.execution.jobs import Job
from distillation_bench.bench.execution.scheduler import FinishedJob, Observer
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.planning.estimates.job_durations import JobKind
from distillation_bench.bench.storage.formats.limits import MAX_DETAILS_LENGTH, MAX_NAME_LENGTH
from distillation_bench.bench.storage.formats.schema import LATENCY
from distillation_bench.bench.storage.formats.write_checks import InvalidContent
from distillation_bench.bench.storage.run_folder import Run
from distillation_bench.bench.training.cell_result import CellResult

EMPTY = CellResult(headline={}, sets=[], timings={}, environment={}, history=[], curves={})


class Recorder:
    """Writes the record of each cell that ends, then tells the other observers.

    Args:
        run: where records are written.
        cells: the cells to be run, by the name of their job.
        kinds_with_latency: the kinds of cells of which one has measured the latency; records that
            are written add to it.
        observers: are told after the record is written.
    """

    def __init__(
        self,
        run: Run,
        cells: Mapping[str, Cell],
        kinds_with_latency: set[JobKind],
        observers: Sequence[Observer],
    ) -> None:
        self.run = run
        self.cells = cells
        self.kinds_with_latency = kinds_with_latency
        self.observers = observers
        self.commit = _commit()

    def job_started(self, job: Job) -> None:
        """Tell the observers."""
        for observer in self.observers:
            observer.job_started(job)

    def job_finished(self, finished: FinishedJob) -> None:
        """Write the record if the job was a cell's, then tell the observers."""
        cell = self.cells.get(finished.job.name)
        if cell is not None:
            try:
                self._write(cell, finished)
            except InvalidContent as error:
                # A record that no command could read is replaced by one that says so.
                reason = f"its record can't be kept: {error.reason}"
                finished = replace(finished, value=None, reason=reason)
                self._write(cell, finished)
        for observer in self.observers:
            observer.job_finished(finished)

    def _write(self, cell: Cell, finished: FinishedJob) -> None:
        result: CellResult = finished.value or EMPTY
        status = "failed" if finished.failed else "done"
        record = new_record(cell, status, finished.reason, self.commit) | {
            "details": _encodable(finished.details)[-MAX_DETAILS_LENGTH:],
            "headline": result.headline,
            "sets": result.sets,
            "timings": {**result.timings, "attempts": finished.attempts},
            "environment": result.environment,
        }
        self.run.write_record(record, result.history, result.curves)
        if LATENCY in result.timings:
            self.kinds_with_latency.add(cell.job_kind)


def new_record(cell: Cell, status: str, reason: str, commit: str) -> dict[str, Any]:
    """Return the record of a cell without any measurements."""
    return {
        "id": cell.id,
        "dataset": cell.dataset,
        "method": cell.method,
        "seed": cell.seed,
        "status": status,
        "reason": _encodable(reason)[:MAX_NAME_LENGTH],
        "parameters": dict(cell.parameters),
        "recipe": cell.recipe.model_dump(),
        "teacher": cell.teacher.outputs_key,
        "commit": commit,
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "headline": {},
        "sets": [],
        "timings": {},
        "environment": {},
    }


def record_skipped(run: Run, cells: Sequence[Cell]) -> None:
    """Write records of cells that cannot be run, with the reason."""
    for cell in cells:
        run.write_record(new_record(cell, "skipped", cell.skip, ""))


def _encodable(text: str) -> str:
    """Replace what UTF-8 cannot encode, such as half a surrogate pair of a file's name."""
    return text.encode(errors="replace").decode()


def _commit() -> str:
    """Return the commit of the repository, with `+` if files differ; empty outside a clone."""
    if not (ROOT / ".git").exists():
        return ""
    try:
        command = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=40", "--dirty=+"]
        done = subprocess.run(command, capture_output=True, check=True)
        return done.stdout.decode(errors="replace").strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
