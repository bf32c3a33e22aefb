"""Records of cells as they end, each of which can be read again."""

from __future__ import annotations

import datetime
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from distillation_bench.bench.common.paths import ROOT
from distillation_bench.bench.execution.jobs import Job
from distillation_bench.bench.execution.latencies import Latencies
from distillation_bench.bench.execution.scheduler import Ended, Observer
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.storage.formats.schema import LONGEST, LONGEST_DETAILS
from distillation_bench.bench.storage.formats.sealed_json import Unreadable
from distillation_bench.bench.storage.run_folder import Run


class Recorder:
    """Writes the record of each cell that ends, then tells others."""

    def __init__(
        self,
        run: Run,
        cells: dict[str, Cell],
        latencies: Latencies,
        others: Sequence[Observer],
    ) -> None:
        self.run = run
        self.cells = cells
        self.latencies = latencies
        self.others = others
        self.commit = _commit()

    def started(self, job: Job) -> None:
        for other in self.others:
            other.started(job)

    def ended(self, ended: Ended) -> None:
        cell = self.cells.get(ended.job.name)
        if cell is not None:
            try:
                self._write(cell, ended)
            except Unreadable as error:
                # What no command would read is no result; why it is none can be read.
                ended = replace(ended, value=None, reason=f"its record can't be kept: {error.flaw}")
                self._write(cell, ended)
        for other in self.others:
            other.ended(ended)

    def _write(self, cell: Cell, ended: Ended) -> None:
        body, history, curves = ended.value if ended.value is not None else ({}, [], {})
        record = record_of(cell, "failed" if ended.failed else "done", ended.reason, self.commit)
        record |= body
        record["details"] = _text(ended.details)[-LONGEST_DETAILS:]
        record["timings"] = {**record["timings"], "attempts": ended.attempts}
        self.run.write_record(record, history, curves)
        self.latencies.learn(cell.job_kind, record["timings"])


def record_of(cell: Cell, status: str, reason: str, commit: str) -> dict[str, Any]:
    """What a record says of its cell; nothing yet of what was measured."""
    return {
        "id": cell.id,
        "dataset": cell.dataset,
        "method": cell.method,
        "seed": cell.seed,
        "status": status,
        "reason": _text(reason)[:LONGEST],
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


def skip(run: Run, cells: Sequence[Cell]) -> None:
    """Record why cells are not run."""
    for cell in cells:
        run.write_record(record_of(cell, "skipped", cell.skip, ""))


def _text(text: str) -> str:
    """Text that can be written: half a character, as of a file's name, is a question mark."""
    return text.encode(errors="replace").decode()


def _commit() -> str:
    """The repository's commit, with a + if files differ from it; empty outside a clone."""
    if not (ROOT / ".git").exists():
        return ""
    try:
        command = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=40", "--dirty=+"]
        done = subprocess.run(command, capture_output=True, check=True)
        return done.stdout.decode(errors="replace").strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
