"""Which of the jobs that could start is next."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field

from distillation_bench.bench.execution.jobs import Job
from distillation_bench.bench.planning.estimates.job_durations import DurationEstimator, JobKind

Priority = tuple[bool, int, float, int]
SHORT = 1e-3
"""Seconds that a job of a kind that has not run yet is taken to need."""


@dataclass
class _JobsOfKind:
    """Jobs of a kind: by rank, then the weightiest first, else in the order asked for."""

    kind: JobKind
    jobs: list[tuple[int, int, int, Job]] = field(default_factory=list)
    started: bool = False
    priority: Priority | None = None


class Ready:
    """The jobs that could start now.

    First one of each kind, so that what fails and how long things take shows early. Then lower
    ranks; within a rank what takes longest, with all that waits for it, so that no long job is
    left for the end, when the other workers have nothing more to do (Graham 1969, SIAM Journal on
    Applied Mathematics 17(2): at most 4/3 of the shortest possible time). All else as asked for.

    Args:
        estimate: seconds of kinds.
        numbers: of each job, its priority in what was asked for.
    """

    def __init__(self, estimate: DurationEstimator, numbers: dict[str, int]) -> None:
        self._estimate = estimate
        self._numbers = numbers
        self._groups: dict[JobKind, _JobsOfKind] = {}
        # Places that have changed since are left in it, and passed over.
        self._heap: list[tuple[Priority, int, _JobsOfKind]] = []
        self._counter = itertools.count()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def push(self, job: Job) -> None:
        """A job that can start."""
        group = self._groups.setdefault(job.kind, _JobsOfKind(job.kind))
        number = self._numbers[job.name]
        heapq.heappush(group.jobs, (job.rank, -job.weight, number, job))
        self._size += 1
        self._put(group)

    def pop(self) -> Job:
        """The next one."""
        while True:
            priority, _, group = heapq.heappop(self._heap)
            if priority == group.priority:
                break
        *_, job = heapq.heappop(group.jobs)
        self._size -= 1
        group.started = True
        group.priority = None
        self._put(group)
        return job

    def learn(self, kind: JobKind, seconds: float) -> None:
        """A job of this kind took so long."""
        self._estimate.learn(kind, seconds)
        if kind in self._groups:
            self._put(self._groups[kind])

    def _put(self, group: _JobsOfKind) -> None:
        if not group.jobs:
            return
        *_, number, job = group.jobs[0]
        mean = self._estimate.mean(group.kind)
        known = group.started or mean is not None
        priority = (known, job.rank, -(mean or SHORT) * job.weight, number)
        if priority != group.priority:
            group.priority = priority
            heapq.heappush(self._heap, (priority, next(self._counter), group))
