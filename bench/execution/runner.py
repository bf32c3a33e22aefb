"""A run from cells to tables: what is done already, the graph of the rest, records as they come."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from distillation_bench import datasets
from distillation_bench.bench.common.devices import cores
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.files import new_folder
from distillation_bench.bench.common.paths import DATA_ROOT
from distillation_bench.bench.common.text import terminal_safe
from distillation_bench.bench.execution.executors import (
    Executor,
    JobFailed,
    JobOptions,
    LocalExecutor,
    WorkerDied,
    WorkerLost,
    cluster_named,
)
from distillation_bench.bench.execution.job_graph import cell_job, data_jobs, make_jobs
from distillation_bench.bench.execution.jobs import Job
from distillation_bench.bench.execution.latencies import Latencies
from distillation_bench.bench.execution.progress.announcements import note_remarks, say_how_long
from distillation_bench.bench.execution.progress.display import Progress
from distillation_bench.bench.execution.progress.utilisation import Usage
from distillation_bench.bench.execution.recorder import Recorder, skip
from distillation_bench.bench.execution.scheduler import Ended, Scheduler
from distillation_bench.bench.execution.workplace import Workplace, in_worker
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.planning.estimates.job_durations import DurationEstimator
from distillation_bench.bench.planning.plugins.loading import Plugin
from distillation_bench.bench.planning.run_description import describe_run
from distillation_bench.bench.storage import tables as derived
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.bench.storage.ownership import require_room
from distillation_bench.bench.storage.run_folder import Run, status_of


@dataclass(frozen=True)
class RunOptions:
    """How to run; none of it changes a figure."""

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


def run_cells(run: Run, cells: Sequence[Cell], options: RunOptions) -> bool:
    """Run what is not done yet; returns whether every cell asked for is well.

    Raises:
        UsageError: the folder can't be written, is in use, or holds another recipe's cells or
            anything but a run.
        KeyboardInterrupt: interrupted; what was finished is on disk and in the tables.
    """
    require_data(cells, options)
    require_room(run.folder, f"--results {run.folder}")
    with _writable(options.cache), run.locked(), contextlib.ExitStack() as ending:
        manifest = describe_run(run, cells, options.command)
        left = _left(run, cells, options)
        workplace = _workplace(options)
        # A cluster that can't be reached leaves the folder as it was.
        executor = _start_executor(options, workplace) if left.waiting else None
        if executor is not None:
            ending.callback(executor.stop)
        run.write_manifest(manifest)
        try:
            # Skipped cells are recorded at once.
            skip(run, [cell for cell in left.cells if cell.skip])
            if executor is not None:
                _run_left(run, cells, options, left, executor, workplace)
        except BaseException:
            # The tables can be derived again at any time; what went wrong is the news.
            with contextlib.suppress(OSError):
                derived.write(run)
            raise
        derived.write(run)
    return not left.failed and all(
        status_of(run.record(cell.id)) in ("done", "skipped") for cell in left.cells
    )


class _Left(NamedTuple):
    """What is to be run, what failed and is not, and what is known from what was run before."""

    cells: list[Cell]
    estimate: DurationEstimator
    latencies: Latencies
    failed: list[Cell]

    @property
    def waiting(self) -> list[Cell]:
        """Those to be run that can be."""
        return [cell for cell in self.cells if not cell.skip]


def _left(run: Run, cells: Sequence[Cell], options: RunOptions) -> _Left:
    """What is not done yet, failed cells only where told to."""
    left = _Left([], DurationEstimator(), Latencies(), [])
    for cell in cells:
        record = run.record(cell.id)
        status = status_of(record)
        retried = options.retry_failed and status == "failed"
        again = status == "missing" or options.force or retried
        if again:
            left.cells.append(cell)
        elif status == "failed":
            left.failed.append(cell)
        if record is not None and status == "done":
            left.estimate.learn(cell.job_kind, record["timings"]["seconds"])
            if not again:
                left.latencies.learn(cell.job_kind, record["timings"])
    return left


def require_data(cells: Sequence[Cell], options: RunOptions) -> None:
    """Find every dataset's files.

    Raises:
        UsageError: which dataset's files are not there, where they were looked for, what to do.
    """
    for name in dict.fromkeys(cell.dataset for cell in cells):
        if reason := datasets.get(name)(options.data_root).missing():
            raise UsageError(f"{name}: {reason}; give --data-root, or --download to fetch it")


@contextlib.contextmanager
def _writable(folder: Path) -> Iterator[None]:
    with contextlib.ExitStack() as made:
        try:
            made.enter_context(new_folder(folder))
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise UsageError(f"{folder}: can't be written ({error.strerror})") from None
        yield


def _workplace(options: RunOptions) -> Workplace:
    places = str(options.cache), options.plugins, str(options.data_root)
    return Workplace(*places, options.checkpoint)


def _run_left(
    run: Run,
    cells: Sequence[Cell],
    options: RunOptions,
    left: _Left,
    executor: Executor,
    workplace: Workplace,
) -> None:
    waiting = left.waiting
    cells_by_job = {cell_job(cell): cell for cell in waiting}
    cache = Cache(options.cache)
    with contextlib.ExitStack() as ending:
        if data := data_jobs(waiting, cache, workplace):
            # Before anything trains, a broken file is the user's to mend; here, where files are.
            local = executor if options.executor == "local" else LocalExecutor(1)
            ending.callback(local.stop)
            _prepare(data, local)
        _warn_of_precision(waiting, executor)
        note_remarks(run, cells, cache, options.data_root)
        say_how_long(waiting, cache, executor.slots(), options.devices[0])
        jobs = make_jobs(waiting, cache, workplace, left.latencies)
        estimate = left.estimate
        usage = Usage(executor.slots, None if options.scheduler else cores())
        with Progress(cells_by_job, executor.slots, estimate) as progress:
            recorder = Recorder(run, cells_by_job, left.latencies, (usage, progress))
            Scheduler(
                jobs, executor, recorder, fail_fast=options.fail_fast, estimate=estimate
            ).run()
        print(usage.report(), file=sys.stderr)


def _warn_of_precision(cells: Sequence[Cell], executor: Executor) -> None:
    """Say, before anything trains, where bfloat16 is slower than float32."""
    if all(cell.recipe.precision == "float32" for cell in cells):
        return
    answer = executor.submit(in_worker, "precision_warning", options=JobOptions(timed=False))
    # What kills this process would kill the jobs too, and is reported for them.
    with contextlib.suppress(JobFailed, WorkerDied, WorkerLost):
        if warning := answer.result():
            print(warning, file=sys.stderr, flush=True)


def _prepare(jobs: list[Job], executor: Executor) -> None:
    failures: list[Ended] = []

    class Preparation:
        def started(self, job: Job) -> None:
            print(terminal_safe(f"preparing {job.name}"), file=sys.stderr, flush=True)

        def ended(self, ended: Ended) -> None:
            if ended.failed:
                failures.append(ended)

    Scheduler(jobs, executor, Preparation(), fail_fast=True).run()
    if failures:
        raise UsageError(f"{failures[0].job.name}: {failures[0].reason}")


def _start_executor(options: RunOptions, workplace: Workplace) -> Executor:
    if options.executor != "local":
        return _cluster(options, workplace)
    return LocalExecutor(options.jobs, options.timeout, options.devices)


def _cluster(options: RunOptions, workplace: Workplace) -> Executor:
    device = options.devices[0].partition(":")[0]
    kind = cluster_named(options.executor)
    cluster = kind(options.scheduler, options.jobs, workplace, options.timeout, device)
    if cluster.dashboard:
        print(f"dashboard: {cluster.dashboard}", file=sys.stderr)
    return cluster
