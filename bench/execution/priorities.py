"""Which of the jobs that are ready to start is the next."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from distillation_bench.bench.execution.jobs import Job
from distillation_bench.bench.planning.estimates.job_durations import DurationEstimator, JobKind

Priority = tuple[bool, int, float, int]
"""Whether the kind has run, the rank, minus the seconds with dependent jobs, the position."""
UNKNOWN_SECONDS = 1e-3
"""The duration assumed for a kind of job that has not run yet."""


@dataclass
class _JobsOfKind:
    """The ready jobs of one kind, as a heap: by rank, then by weight, then by position.

    `priority` is that of the first of them, as it is in the heap of all kinds.
    """

    kind: JobKind
    jobs: list[tuple[int, int, int, Job]] = field(default_factory=list)
    started: bool = False
    priority: Priority | None = None


class ReadyJobs:
    """The jobs that are ready to start.

    One job of each kind comes first, so that failures and durations show early. Then come lower
    ranks; within a rank the job with the most seconds, including all work that waits for it, so
    that no long job is left for the end, when other workers have nothing to do (Graham 1969, SIAM
    Journal on Applied Mathematics 17(2): at most 4/3 of the shortest possible time). Otherwise
    jobs come in the order of their names in `names`.

    Args:
        estimate: the durations of kinds of jobs.
        names: all jobs of the graph.
    """

    def __init__(self, estimate: DurationEstimator, names: Sequence[str]) -> None:
        self._estimate = estimate
        self._positions = {name: position for position, name in enumerate(names)}
        self._kinds: dict[JobKind, _JobsOfKind] = {}
        # Entries whose priority has changed stay in the heap, and are skipped.
        self._heap: list[tuple[Priority, int, _JobsOfKind]] = []
        self._counter = itertools.count()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def push(self, job: Job) -> None:
        """Add a job."""
        jobs = self._kinds.setdefault(job.kind, _JobsOfKind(job.kind))
        position = self._positions[job.name]
        heapq.heappush(jobs.jobs, (job.rank, -job.weight, position, job))
        self._size += 1
        self._update(jobs)

    def pop(self) -> Job:
        """Remove and return the next job."""
        while True:
            priority, _, jobs = heapq.heappop(self._heap)
            if priority == jobs.priority:
                break
        *_, job = heapq.heappop(jobs.jobs)
        self._size -= 1
        jobs.started = True
        jobs.priority = None
        self._update(jobs)
        return job

    def learn(self, kind: JobKind, seconds: float) -> None:
        """Take the duration of a job of this kind into account."""
        self._estimate.learn(kind, seconds)
        if kind in self._kinds:
            self._update(self._kinds[kind])

    def _update(self, jobs: _JobsOfKind) -> None:
        if not jobs.jobs:
            return
        *_, position, job = jobs.jobs[0]
        mean = self._estimate.mean(jobs.kind)
        has_run = jobs.started or mean is not None
        priority = (has_run, job.rank, -(mean or UNKNOWN_SECONDS) * job.weight, position)
        if priority != jobs.priority:
            jobs.priority = priority
            heapq.heappush(self._heap, (priority, next(self._counter), jobs))
