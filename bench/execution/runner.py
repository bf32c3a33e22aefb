"""A run from cells to tables: finds the unfinished cells, runs their jobs, derives the tables."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence, Set
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from distillation_bench import datasets
from distillation_bench.bench.common.devices import cores
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.files import new_folder
from distillation_bench.bench.common.paths import DATA_ROOT
from distillation_bench.bench.execution import worker
from distillation_bench.bench.execution.executors.base import Executor
from distillation_bench.bench.execution.executors.local import LocalExecutor
from distillation_bench.bench.execution.executors.registry import cluster_named
from distillation_bench.bench.execution.job_graph import cell_job_name, data_jobs, training_jobs
from distillation_bench.bench.execution.jobs import Job, RunCell
from distillation_bench.bench.execution.progress.announcements import (
    DataPreparation,
    announce_duration,
    note_remarks,
    warn_of_slow_precision,
)
from distillation_bench.bench.execution.progress.display import Progress
from distillation_bench.bench.execution.progress.screens import screen
from distillation_bench.bench.execution.progress.utilisation import Usage
from distillation_bench.bench.execution.recorder import Recorder, record_skipped
from distillation_bench.bench.execution.scheduler import Scheduler
from distillation_bench.bench.execution.workplace import Workplace
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.planning.estimates.job_durations import DurationEstimator, JobKind
from distillation_bench.bench.planning.plugins.plugin_files import Plugin
from distillation_bench.bench.planning.run_description import describe_run
from distillation_bench.bench.storage import tables
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.bench.storage.formats.schema import LATENCY
from distillation_bench.bench.storage.ownership import require_room
from distillation_bench.bench.storage.run_folder import Run, cell_status


@dataclass(frozen=True)
class RunOptions:
    """How to run cells. No option changes a value.

    Attributes:
        jobs: jobs at a time; on a cluster that is running the most, 0 for all that it has room for.
        cache: the folder of the cache.
        data_root: the folder with the datasets' files.
        devices: of the workers; jobs that run at the same time take them in turn.
        checkpoint: the least number of seconds between two checkpoints of a training.
        plugins: the plugins that the cells were planned with.
        timeout: the most seconds that a cell may take; None for no limit.
        fail_fast: whether to start nothing after the first failure.
        retry_failed: whether to run failed cells again.
        force: whether to run finished cells again.
        executor: one of `EXECUTORS`.
        scheduler: the address of a cluster that is running; empty to start one.
        command: the command line, as the run's description keeps it.
    """

    jobs: int
    cache: Path
    data_root: Path = DATA_ROOT
    devices: tuple[str, ...] = ("cpu",)
    checkpoint: float = 120.0
    plugins: tuple[Plugin, ...] = ()
    timeout: float | None = None
    fail_fast: bool = False
    retry_failed: bool = False
    force: bool = False
    executor: str = "local"
    scheduler: str = ""
    command: str = ""

    @property
    def workplace(self) -> Workplace:
        """What jobs need on this machine."""
        return Workplace(str(self.cache), self.plugins, str(self.data_root), self.checkpoint)


def run_cells(run: Run, cells: Sequence[Cell], options: RunOptions) -> bool:
    """Run the cells that are not finished; return whether all cells are done or skipped.

    Raises:
        UsageError: files of a dataset are missing; the run's folder cannot be written, is in use,
            holds cells of another recipe, or is not a run's.
        KeyboardInterrupt: the cells that were finished before are on disk and in the tables.
    """
    require_data(cells, options)
    require_room(run.folder, f"--results {run.folder}")
    with _writable(options.cache), run.locked(), contextlib.ExitStack() as cleanup:
        manifest = describe_run(run, cells, options.command)
        unfinished = _find_unfinished(run, cells, options)
        # Before anything is written: a cluster that does not answer leaves the folder as it was.
        executor = _start_executor(options) if unfinished.runnable else None
        if executor is not None:
            cleanup.callback(executor.stop)
        run.write_manifest(manifest)
        with _tables_written(run):
            record_skipped(run, [cell for cell in unfinished.cells if cell.skip])
            if executor is not None:
                _run_unfinished(run, cells, unfinished, options, executor)
    return not unfinished.failed_before and all(
        cell_status(run.record(cell.id)).status in ("done", "skipped") for cell in unfinished.cells
    )


def require_data(cells: Sequence[Cell], options: RunOptions) -> None:
    """Check that the files of every dataset are there.

    Raises:
        UsageError: which dataset's files are missing, where they were looked for, what to do.
    """
    for name in dict.fromkeys(cell.dataset for cell in cells):
        if reason := datasets.get(name)(options.data_root).missing():
            raise UsageError(f"{name}: {reason}; give --data-root, or --download to fetch it")


@contextlib.contextmanager
def _writable(folder: Path) -> Iterator[None]:
    """Make a folder, which is removed again if it stays empty; check that it can be written.

    Raises:
        UsageError: the folder cannot be written.
    """
    with contextlib.ExitStack() as cleanup:
        try:
            cleanup.enter_context(new_folder(folder))
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise UsageError(f"{folder}: can't be written ({error.strerror})") from None
        yield


@contextlib.contextmanager
def _tables_written(run: Run) -> Iterator[None]:
    """Write the run's tables at the end, also after an error."""
    try:
        yield
    except BaseException:
        # The tables can be derived again at any time; the first error is the one to report.
        with contextlib.suppress(OSError):
            tables.write_tables(run)
        raise
    tables.write_tables(run)


class _Unfinished(NamedTuple):
    """The cells that are to be run, and what earlier runs tell about them.

    Attributes:
        cells: the cells that have no record or are to be run again.
        failed_before: cells that have failed and are not to be run again.
        estimate: the durations of cells that are done.
        kinds_with_latency: the kinds of cells of which one that is done has the latency.
    """

    cells: list[Cell]
    failed_before: list[Cell]
    estimate: DurationEstimator
    kinds_with_latency: set[JobKind]

    @property
    def runnable(self) -> list[Cell]:
        """The cells that are not skipped."""
        return [cell for cell in self.cells if not cell.skip]


def _find_unfinished(run: Run, cells: Sequence[Cell], options: RunOptions) -> _Unfinished:
    unfinished = _Unfinished([], [], DurationEstimator(), set())
    for cell in cells:
        record = run.record(cell.id)
        status = cell_status(record).status
        retried = options.retry_failed and status == "failed"
        again = status == "missing" or options.force or retried
        if again:
            unfinished.cells.append(cell)
        elif status == "failed":
            unfinished.failed_before.append(cell)
        if record is not None and status == "done":
            unfinished.estimate.learn(cell.job_kind, record["timings"]["seconds"])
            if not again and LATENCY in record["timings"]:
                unfinished.kinds_with_latency.add(cell.job_kind)
    return unfinished


def _start_executor(options: RunOptions) -> Executor:
    if options.executor == "local":
        return LocalExecutor(options.jobs, options.timeout, options.devices)
    device = options.devices[0].partition(":")[0]
    cluster = cluster_named(options.executor)(
        options.scheduler, options.jobs, options.workplace, options.timeout, device
    )
    if cluster.dashboard:
        screen().note(f"dashboard: {cluster.dashboard}")
    return cluster


def _run_unfinished(
    run: Run,
    cells: Sequence[Cell],
    unfinished: _Unfinished,
    options: RunOptions,
    executor: Executor,
) -> None:
    """Prepare the data, say what is known of the run beforehand, then run all jobs."""
    cache = Cache(options.cache)
    _prepare_data(data_jobs(unfinished.runnable, cache), options, executor)
    warn_of_slow_precision(unfinished.runnable, executor, options.workplace)
    note_remarks(run, cells, cache, options.data_root)
    announce_duration(unfinished.runnable, cache, executor.slots(), options.devices[0])
    jobs = training_jobs(unfinished.runnable, cache)
    _run_jobs(run, jobs, unfinished, options, executor)


def _prepare_data(jobs: Sequence[Job], options: RunOptions, executor: Executor) -> None:
    """Prepare data on this machine, where the datasets' files are, before anything trains.

    Raises:
        UsageError: a dataset cannot be prepared, for example because a file is broken.
    """
    if not jobs:
        return
    # A cluster's workers may not see the files.
    local = executor if options.executor == "local" else LocalExecutor(1)
    observer = DataPreparation()
    start = partial(start_job, local, options.workplace, frozenset())
    try:
        Scheduler(jobs, local, start, observer, fail_fast=True).run()
    finally:
        if local is not executor:
            local.stop()
    if observer.failure is not None:
        raise UsageError(f"{observer.failure.job.name}: {observer.failure.reason}")


def _run_jobs(
    run: Run,
    jobs: Sequence[Job],
    unfinished: _Unfinished,
    options: RunOptions,
    executor: Executor,
) -> None:
    cells = {cell_job_name(cell): cell for cell in unfinished.runnable}
    estimate, kinds_with_latency = unfinished.estimate, unfinished.kinds_with_latency
    start = partial(start_job, executor, options.workplace, kinds_with_latency)
    usage = Usage(executor.slots, None if options.scheduler else cores())
    progress = Progress(cells, executor.slots, estimate)
    with screen().live(progress):
        recorder = Recorder(run, cells, kinds_with_latency, (usage, progress))
        Scheduler(
            jobs, executor, start, recorder, fail_fast=options.fail_fast, estimate=estimate
        ).run()
    screen().note(usage.report())


def start_job(
    executor: Executor, workplace: Workplace, kinds_with_latency: Set[JobKind], job: Job
) -> Future[Any]:
    """Start a job on an executor.

    A latency belongs to a variant on a dataset, so that one cell of each kind measures it. A cell
    measures it unless another one has done so when it starts; the first that succeeds has it,
    whatever fails or is interrupted.
    """
    work = job.work
    if isinstance(work, RunCell):
        work = RunCell(work.cell, measure_latency=job.kind not in kinds_with_latency)
    return executor.submit(worker.do_work, workplace, work, options=job.options)
