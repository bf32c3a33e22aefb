"""How busy the workers of a run were, and how much time more workers would have saved."""

from __future__ import annotations

import heapq
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from distillation_bench.bench.common.text import duration
from distillation_bench.bench.execution.jobs import Job
from distillation_bench.bench.execution.scheduler import FinishedJob

BUSY, DRIVER, TEACHERS, END = "busy", "between jobs", "waiting for teachers", "at the end"
"""What a worker's time is spent on: it is busy, or idle for one of three reasons."""
SHOWN_SHARE = 0.005
"""The smallest share of idle time that is shown."""


@dataclass
class Span:
    """When a job ran, from its first attempt to its end, in seconds since the run began."""

    name: str
    needs: tuple[str, ...]
    began: float
    ended: float


class Usage:
    """Notes when jobs start and end.

    Args:
        slots: returns how many jobs can run at a time, now.
        max_workers: the number of workers that there is room for; None if it is not known.
    """

    def __init__(self, slots: Callable[[], int], max_workers: int | None = None) -> None:
        self._slots = slots
        self._max_workers = max_workers
        self._start = time.monotonic()
        self._running: dict[str, float] = {}
        self.spans: list[Span] = []
        self.capacity: list[tuple[float, int]] = [(0.0, slots())]

    def job_started(self, job: Job) -> None:
        """Note the first start of a job; it may start again if its worker dies."""
        self._running.setdefault(job.name, self._now())

    def job_finished(self, finished: FinishedJob) -> None:
        """Note the end of a job, unless it never started because a job that it needs failed."""
        job, now = finished.job, self._now()
        began = self._running.pop(job.name, None)
        if began is not None:
            self.spans.append(Span(job.name, job.needs, began, now))

    def _now(self) -> float:
        now, slots = time.monotonic() - self._start, self._slots()
        if slots != self.capacity[-1][1]:
            self.capacity.append((now, slots))
        return now

    def report(self) -> str:
        """Return a line for the end of a run."""
        return usage_line(self.spans, self.capacity, self._max_workers)


def usage_line(
    spans: Sequence[Span], capacity: Sequence[tuple[float, int]], max_workers: int | None = None
) -> str:
    """Return the busy and idle shares, and what more workers would have saved.

    Args:
        spans: of all jobs that ran.
        capacity: the number of workers from each time on.
        max_workers: the number of workers that there is room for, one per core; None for any.
    """
    if not spans:
        return "no job ran"
    end = max(span.ended for span in spans)
    shares = _shares(spans, capacity, end)
    total = sum(shares.values()) or 1.0
    workers = max(1, round(total / end)) if end else 1
    idle = ", ".join(
        f"{share / total:.0%} {reason}"
        for reason, share in shares.items()
        if reason != BUSY and share / total >= SHOWN_SHARE
    )
    return (
        f"{workers} worker{'s' * (workers > 1)} busy {shares[BUSY] / total:.0%} of {duration(end)}"
        f"{f' (idle: {idle})' if idle else ''}{_savings(spans, workers, max_workers)}"
    )


def _savings(spans: Sequence[Span], workers: int, max_workers: int | None) -> str:
    if max_workers is not None and workers >= max_workers:
        return ""
    now = makespan(spans, workers)
    by_one = now - makespan(spans, workers + 1)
    at_most = now - makespan(spans, max_workers or len(spans))
    number = f"one for each of {max_workers} cores" if max_workers else "any number"
    return f"; one more would have saved {duration(by_one)}, {number} at most {duration(at_most)}"


def _shares(
    spans: Sequence[Span], capacity: Sequence[tuple[float, int]], end: float
) -> dict[str, float]:
    """Return the worker-seconds that were busy, and those that were idle by their reason."""
    shares = dict.fromkeys((BUSY, DRIVER, TEACHERS, END), 0.0)
    state, last = [0, 0, 0, 0], 0.0
    for moment, change in sorted(_changes(spans, capacity)):
        blocked, ready, running, workers = state
        passed = min(moment, end) - last
        reason = DRIVER if ready else TEACHERS if blocked else END
        shares[BUSY] += passed * running
        shares[reason] += passed * max(0, workers - running)
        state = [count + difference for count, difference in zip(state, change, strict=True)]
        last = min(moment, end)
    return shares


def _changes(
    spans: Sequence[Span], capacity: Sequence[tuple[float, int]]
) -> Iterator[tuple[float, tuple[int, int, int, int]]]:
    """Yield times, and the changes then of the jobs blocked, ready and running, and of workers."""
    ends = {span.name: span.ended for span in spans}
    for span in spans:
        ready = max((ends[name] for name in span.needs if name in ends), default=0.0)
        yield 0.0, (1, 0, 0, 0)
        yield ready, (-1, 1, 0, 0)
        yield span.began, (0, -1, 1, 0)
        yield span.ended, (0, 0, -1, 0)
    previous = 0
    for moment, workers in capacity:
        yield moment, (0, 0, 0, workers - previous)
        previous = workers


def makespan(spans: Sequence[Span], workers: int) -> float:
    """Return the seconds that the same jobs would take this number of workers.

    A job starts when a worker is free and the jobs that it needs have ended; of several, the one
    that began first.
    """
    by_name = {span.name: span for span in spans}
    needs = {span.name: [name for name in span.needs if name in by_name] for span in spans}
    dependants = defaultdict(list)
    for span in spans:
        for name in needs[span.name]:
            dependants[name].append(span)
    unfinished_needs = {name: len(names) for name, names in needs.items()}
    ready = [(span.began, span.name) for span in spans if not needs[span.name]]
    heapq.heapify(ready)
    now = 0.0
    running: list[tuple[float, str]] = []
    while ready or running:
        while ready and len(running) < workers:
            span = by_name[heapq.heappop(ready)[1]]
            heapq.heappush(running, (now + span.ended - span.began, span.name))
        now, name = heapq.heappop(running)
        for span in dependants[name]:
            unfinished_needs[span.name] -= 1
            if not unfinished_needs[span.name]:
                heapq.heappush(ready, (span.began, span.name))
    return now
