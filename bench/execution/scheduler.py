"""Runs a graph of jobs on an executor: retries, and what a failure takes with it."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from distillation_bench.bench.common.signals import on_first_signal
from distillation_bench.bench.execution.executors import (
    Executor,
    JobFailed,
    TimedOut,
    WorkerDied,
    WorkerLost,
)
from distillation_bench.bench.execution.jobs import Job
from distillation_bench.bench.execution.priorities import Ready
from distillation_bench.bench.planning.estimates.job_durations import DurationEstimator

LOSSES = 10
"""Times that a job is started again since what ran it was lost: a cluster takes workers back."""
GLANCE = 2.0
"""Seconds between two looks at how much the executor can take."""


@dataclass(frozen=True)
class Ended:
    """How a job ended: its value, or the reason of its failure with the traceback."""

    job: Job
    value: Any = None
    reason: str = ""
    details: str = ""
    attempts: int = 1

    @property
    def failed(self) -> bool:
        """Whether there is a reason."""
        return bool(self.reason)


class Observer(Protocol):
    """Who is told what happens; both calls come from the scheduler's thread."""

    def started(self, job: Job) -> None: ...

    def ended(self, ended: Ended) -> None: ...


class Scheduler:
    """One run of a graph.

    Args:
        jobs: the graph.
        executor: where they run.
        observer: who is told.
        retries: how often a job is tried again after its worker died. A job that raised or took
            too long would do so again and is not; one whose worker was lost is not charged.
        fail_fast: start nothing after the first failure.
        estimate: seconds of jobs as far as they are known; it learns from those that end.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        executor: Executor,
        observer: Observer,
        retries: int = 1,
        fail_fast: bool = False,
        estimate: DurationEstimator | None = None,
    ) -> None:
        self._executor = executor
        self._observer = observer
        self._retries = retries
        self._fail_fast = fail_fast
        self._jobs = {job.name: job for job in jobs}
        self._dependants: dict[str, list[str]] = defaultdict(list)
        self._missing: dict[str, int] = {}
        numbers = {job.name: number for number, job in enumerate(jobs)}
        self._ready = Ready(estimate or DurationEstimator(), numbers)
        self._attempts: dict[str, int] = defaultdict(int)
        self._losses: dict[str, int] = defaultdict(int)
        self._running: dict[Future[Any], tuple[Job, float]] = {}
        # None: an interrupt.
        self._done: SimpleQueue[Future[Any] | None] = SimpleQueue()
        self._stopping = False
        for job in jobs:
            needs = [name for name in job.needs if name in self._jobs]
            self._missing[job.name] = len(needs)
            for name in needs:
                self._dependants[name].append(job.name)
            if not needs:
                self._ready.push(job)

    def run(self) -> bool:
        """Run all; returns whether every job succeeded. On an interrupt, workers are ended.

        Raises:
            OSError: the disk has no room, or the cache can't be read or written.
            UsageError: the executor can run nothing any more.
        """
        succeeded = True
        try:
            with on_first_signal(self._interrupt):
                while self._running or (self._ready and not self._stopping):
                    self._start()
                    for ended in self._finished():
                        succeeded &= not ended.failed
                        self._settle(ended)
                        self._stopping |= ended.failed and self._fail_fast
        except BaseException:
            self._executor.stop()
            raise
        return succeeded

    def _interrupt(self) -> None:
        self._stopping = True
        self._done.put(None)

    def _start(self) -> None:
        slots = 0 if self._stopping else self._executor.slots()
        while self._ready and len(self._running) < slots:
            job = self._ready.pop()
            self._attempts[job.name] += 1
            self._observer.started(job)
            began = time.monotonic()
            arguments = (*job.arguments, *job.late())
            future = self._executor.submit(job.function, *arguments, options=job.options)
            self._running[future] = job, began
            future.add_done_callback(self._done.put)

    def _finished(self) -> Iterable[Ended]:
        done = self._collected()
        futures = [future for future in done if future is not None]
        # What succeeded first: what did not may end the run.
        for future in sorted(futures, key=lambda each: each.exception() is not None):
            job, began = self._running.pop(future)
            attempts = self._attempts[job.name]
            try:
                ended = Ended(job, future.result(), attempts=attempts)
                self._ready.learn(job.kind, time.monotonic() - began)
                yield ended
            except JobFailed as error:
                if error.fault:
                    raise error.fault from None
                yield Ended(job, None, error.reason, error.details, attempts)
            except TimedOut as error:
                yield Ended(job, None, str(error), attempts=attempts)
            except WorkerLost as error:
                self._losses[job.name] += 1
                if self._losses[job.name] <= LOSSES:
                    self._attempts[job.name] -= 1
                    self._ready.push(job)
                else:
                    yield Ended(job, None, f"{error}, {LOSSES + 1} times", attempts=attempts)
            except WorkerDied as error:
                if attempts <= self._retries:
                    self._ready.push(job)
                else:
                    yield Ended(job, None, f"{error}, {attempts} times", attempts=attempts)
        if None in done:
            raise KeyboardInterrupt

    def _collected(self) -> list[Future[Any] | None]:
        """What is done by now, or the first that is within a glance."""
        done = []
        with contextlib.suppress(Empty):
            # Not for ever: on a cluster workers come and go, and there may be none just now.
            done.append(self._done.get(timeout=GLANCE))
            while True:
                done.append(self._done.get_nowait())
        return done

    def _settle(self, ended: Ended) -> None:
        """Tell the observer; release what waited for the job, or fail it too."""
        self._observer.ended(ended)
        for name in self._dependants[ended.job.name]:
            job = self._jobs[name]
            if ended.failed:
                if self._missing[name] >= 0:
                    self._missing[name] = -1
                    # Attempts 0: it failed with what it needed, which the reason names already.
                    first = ended.attempts > 0
                    reason = f"{ended.job.name} failed: {ended.reason}" if first else ended.reason
                    self._settle(Ended(job, None, reason, ended.details, attempts=0))
                continue
            self._missing[name] -= 1
            if self._missing[name] == 0:
                self._ready.push(job)
