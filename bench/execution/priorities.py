"""Which of the tasks that could start is next."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field

from distillation_bench.bench.execution.jobs import Task
from distillation_bench.bench.planning.time_estimates import Estimate, Kind

Place = tuple[bool, int, float, int]
SHORT = 1e-3
"""Seconds that a task of a kind that has not run yet is taken to need."""


@dataclass
class _Group:
    """Tasks of a kind: by rank, then the weightiest first, else in the order asked for."""

    kind: Kind
    tasks: list[tuple[int, int, int, Task]] = field(default_factory=list)
    started: bool = False
    place: Place | None = None


class Ready:
    """The tasks that could start now.

    First one of each kind, so that what fails and how long things take shows early. Then lower
    ranks; within a rank what takes longest, with all that waits for it, so that no long task is
    left for the end, when the other workers have nothing more to do (Graham 1969, SIAM Journal on
    Applied Mathematics 17(2): at most 4/3 of the shortest possible time). All else as asked for.

    Args:
        estimate: seconds of kinds.
        numbers: of each task, its place in what was asked for.
    """

    def __init__(self, estimate: Estimate, numbers: dict[str, int]) -> None:
        self._estimate = estimate
        self._numbers = numbers
        self._groups: dict[Kind, _Group] = {}
        # Places that have changed since are left in it, and passed over.
        self._heap: list[tuple[Place, int, _Group]] = []
        self._counter = itertools.count()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def push(self, task: Task) -> None:
        """A task that can start."""
        group = self._groups.setdefault(task.kind, _Group(task.kind))
        number = self._numbers[task.name]
        heapq.heappush(group.tasks, (task.rank, -task.weight, number, task))
        self._size += 1
        self._put(group)

    def pop(self) -> Task:
        """The next one."""
        while True:
            place, _, group = heapq.heappop(self._heap)
            if place == group.place:
                break
        *_, task = heapq.heappop(group.tasks)
        self._size -= 1
        group.started = True
        group.place = None
        self._put(group)
        return task

    def learn(self, kind: Kind, seconds: float) -> None:
        """A task of this kind took so long."""
        self._estimate.learn(kind, seconds)
        if kind in self._groups:
            self._put(self._groups[kind])

    def _put(self, group: _Group) -> None:
        if not group.tasks:
            return
        *_, number, task = group.tasks[0]
        mean = self._estimate.mean(group.kind)
        known = group.started or mean is not None
        place = (known, task.rank, -(mean or SHORT) * task.weight, number)
        if place != group.place:
            group.place = place
            heapq.heappush(self._heap, (place, next(self._counter), group))
