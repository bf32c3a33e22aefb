"""What a run tells the user before anything trains."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from distillation_bench.bench.common.text import rough_duration, terminal_safe
from distillation_bench.bench.execution import worker
from distillation_bench.bench.execution.executors.base import (
    Executor,
    JobFailed,
    JobOptions,
    WorkerDied,
    WorkerLost,
)
from distillation_bench.bench.execution.jobs import CheckPrecision, Job
from distillation_bench.bench.execution.progress.screens import screen
from distillation_bench.bench.execution.scheduler import FinishedJob
from distillation_bench.bench.execution.workplace import Workplace
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.planning.data_remarks import data_plans, remarks
from distillation_bench.bench.planning.estimates.run_time import rough_seconds
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.bench.storage.run_folder import Run

LONG_SECONDS = 600
"""The shortest duration of a run that is announced as long."""


class DataPreparation:
    """Tells which data is being prepared, and keeps the first failure."""

    failure: FinishedJob | None = None

    def job_started(self, job: Job) -> None:
        """Show the name of the job."""
        screen().step(terminal_safe(f"preparing {job.name}"))

    def job_finished(self, finished: FinishedJob) -> None:
        """Keep the first failure."""
        if finished.failed and self.failure is None:
            self.failure = finished


def warn_of_slow_precision(cells: Sequence[Cell], executor: Executor, workplace: Workplace) -> None:
    """Show a warning if cells train in bfloat16 and the workers' processors emulate it."""
    if all(cell.recipe.precision == "float32" for cell in cells):
        return
    options = JobOptions(timed=False)
    answer = executor.submit(worker.do_work, workplace, CheckPrecision(), options=options)
    # What kills this process kills the jobs too, and is reported for them.
    with contextlib.suppress(JobFailed, WorkerDied, WorkerLost):
        if warning := answer.result():
            screen().note(warning)


def note_remarks(run: Run, cells: Sequence[Cell], cache: Cache, data_root: Path) -> None:
    """Show remarks on the data of cells, and keep them in the run's description.

    Earlier remarks on the same datasets are replaced, since files may have been repaired.
    """
    lines = remarks(data_plans(cells), cache, data_root)
    for dataset, dataset_lines in lines.items():
        for line in dataset_lines:
            screen().note(terminal_safe(f"{dataset}: {line}"))
    manifest, datasets = run.manifest(), {cell.dataset for cell in cells}
    earlier = manifest.get("remarks", {}).items()
    others = {dataset: remark for dataset, remark in earlier if dataset not in datasets}
    run.write_manifest({**manifest, "remarks": others | lines})


def announce_duration(cells: Sequence[Cell], cache: Cache, jobs: int, device: str) -> None:
    """Show roughly how long the cells will take on processors, if that is long."""
    if device != "cpu":
        return
    seconds = rough_seconds(cells, cache, max(jobs, 1))
    if seconds is not None and seconds >= LONG_SECONDS:
        screen().note(
            f"this will take roughly {rough_duration(seconds)} with {jobs} at a time, by the "
            "operations of its networks; plan --estimate times them"
        )
