"""Runs a graph of jobs on an executor, with retries and with what follows from a failure."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from distillation_bench.bench.common.signals import on_first_signal
from distillation_bench.bench.execution.executors.base import (
    Executor,
    JobFailed,
    TimedOut,
    WorkerDied,
    WorkerLost,
)
from distillation_bench.bench.execution.jobs import Job
from distillation_bench.bench.execution.priorities import ReadyJobs
from distillation_bench.bench.planning.estimates.job_durations import DurationEstimator

MAX_LOSSES = 10
"""Times that a job is started again after its worker was lost, as clusters take workers back."""
POLL_SECONDS = 2.0
"""Seconds between two checks of how many jobs the executor can run."""


@dataclass(frozen=True)
class FinishedJob:
    """How a job ended.

    Attributes:
        job: the job.
        value: what its work returned; None if it failed.
        reason: why it failed, in one line; empty if it succeeded.
        details: the traceback, where there is one.
        attempts: how often it was started; 0 if it failed because a job that it needs failed.
    """

    job: Job
    value: Any = None
    reason: str = ""
    details: str = ""
    attempts: int = 1

    @property
    def failed(self) -> bool:
        """Whether the job failed."""
        return bool(self.reason)


class Observer(Protocol):
    """What the scheduler tells about jobs, from its own thread."""

    def job_started(self, job: Job) -> None:
        """A job starts, for the first time or again."""

    def job_finished(self, finished: FinishedJob) -> None:
        """A job has succeeded or failed for good."""


class Scheduler:
    """One run of a graph of jobs.

    Args:
        jobs: the graph, in the order in which jobs of equal priority start.
        executor: where they run.
        start: starts a job on the executor.
        observer: is told when jobs start and finish.
        retries: how often a job is started again after its worker died. A job that raised or timed
            out would do so again, so it is not started again; a lost worker uses up no retry.
        fail_fast: whether to start nothing after the first failure.
        estimate: the durations known so far; it learns from the jobs that succeed.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        executor: Executor,
        start: Callable[[Job], Future[Any]],
        observer: Observer,
        retries: int = 1,
        fail_fast: bool = False,
        estimate: DurationEstimator | None = None,
    ) -> None:
        self._executor = executor
        self._start = start
        self._observer = observer
        self._retries = retries
        self._fail_fast = fail_fast
        self._jobs = {job.name: job for job in jobs}
        self._dependants: dict[str, list[str]] = defaultdict(list)
        self._unfinished_needs: dict[str, int] = {}
        self._ready = ReadyJobs(estimate or DurationEstimator(), [job.name for job in jobs])
        self._attempts: dict[str, int] = defaultdict(int)
        self._losses: dict[str, int] = defaultdict(int)
        self._running: dict[Future[Any], tuple[Job, float]] = {}
        # None stands for an interrupt.
        self._done: SimpleQueue[Future[Any] | None] = SimpleQueue()
        self._stopping = False
        for job in jobs:
            self._add(job)

    def _add(self, job: Job) -> None:
        needs = [name for name in job.needs if name in self._jobs]
        self._unfinished_needs[job.name] = len(needs)
        for name in needs:
            self._dependants[name].append(job.name)
        if not needs:
            self._ready.push(job)

    def run(self) -> bool:
        """Run all jobs; return whether every job succeeded. An interrupt stops the executor.

        Raises:
            OSError: the disk is full, or the cache cannot be read or written.
            UsageError: the executor cannot run any more jobs.
        """
        succeeded = True
        try:
            with on_first_signal(self._interrupt):
                while self._running or (self._ready and not self._stopping):
                    self._start_ready_jobs()
                    for finished in self._finished_jobs():
                        succeeded &= not finished.failed
                        self._settle(finished)
                        self._stopping |= finished.failed and self._fail_fast
        except BaseException:
            self._executor.stop()
            raise
        return succeeded

    def _interrupt(self) -> None:
        self._stopping = True
        self._done.put(None)

    def _start_ready_jobs(self) -> None:
        slots = 0 if self._stopping else self._executor.slots()
        while self._ready and len(self._running) < slots:
            job = self._ready.pop()
            self._attempts[job.name] += 1
            self._observer.job_started(job)
            started = time.monotonic()
            future = self._start(job)
            self._running[future] = job, started
            future.add_done_callback(self._done.put)

    def _finished_jobs(self) -> Iterator[FinishedJob]:
        """Yield the jobs that have finished; put those that are tried again among the ready."""
        done = self._wait()
        futures = [future for future in done if future is not None]
        # Successes come first, since a failure may end the run.
        for future in sorted(futures, key=lambda future: future.exception() is not None):
            job, started = self._running.pop(future)
            error = future.exception()
            if error is None:
                self._ready.learn(job.kind, time.monotonic() - started)
                yield FinishedJob(job, future.result(), attempts=self._attempts[job.name])
            elif (finished := self._failure(job, error)) is not None:
                yield finished
            else:
                self._ready.push(job)
        if None in done:
            raise KeyboardInterrupt

    def _failure(self, job: Job, error: BaseException) -> FinishedJob | None:
        """Return how a job failed; None if it is started again.

        Raises:
            OSError: the fault is the disk's or the cache's.
            BaseException: any error that no job caused.
        """
        attempts = self._attempts[job.name]
        match error:
            case JobFailed():
                if error.fault:
                    raise error.fault from None
                return FinishedJob(job, None, error.reason, error.details, attempts)
            case TimedOut():
                return FinishedJob(job, None, str(error), attempts=attempts)
            case WorkerLost():
                self._losses[job.name] += 1
                if self._losses[job.name] <= MAX_LOSSES:
                    self._attempts[job.name] -= 1
                    return None
                reason = f"{error}, {MAX_LOSSES + 1} times"
                return FinishedJob(job, None, reason, attempts=attempts)
            case WorkerDied():
                if attempts <= self._retries:
                    return None
                return FinishedJob(job, None, f"{error}, {attempts} times", attempts=attempts)
        raise error

    def _wait(self) -> list[Future[Any] | None]:
        """Return the futures that are done; if there are none, wait a while for the first one."""
        done = []
        with contextlib.suppress(Empty):
            # With a timeout, since workers of a cluster come and go, and there may be none now.
            done.append(self._done.get(timeout=POLL_SECONDS))
            while True:
                done.append(self._done.get_nowait())
        return done

    def _settle(self, finished: FinishedJob) -> None:
        """Tell the observer; the jobs that need this one become ready, or fail with it."""
        self._observer.job_finished(finished)
        for name in self._dependants[finished.job.name]:
            if finished.failed:
                self._fail_dependant(name, finished)
            else:
                self._unfinished_needs[name] -= 1
                if self._unfinished_needs[name] == 0:
                    self._ready.push(self._jobs[name])

    def _fail_dependant(self, name: str, finished: FinishedJob) -> None:
        if self._unfinished_needs[name] < 0:
            return
        self._unfinished_needs[name] = -1
        reason = finished.reason
        if finished.attempts > 0:
            # Otherwise the reason already names the job that failed first.
            reason = f"{finished.job.name} failed: {reason}"
        self._settle(FinishedJob(self._jobs[name], None, reason, finished.details, attempts=0))
