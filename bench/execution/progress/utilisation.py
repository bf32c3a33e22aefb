"""How busy the workers were, and what others would have saved."""

from __future__ import annotations

import heapq
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from distillation_bench.bench.common.text import duration
from distillation_bench.bench.execution.jobs import Job
from distillation_bench.bench.execution.scheduler import Ended


@dataclass
class Span:
    """When a job ran, from its first attempt to its end, in seconds."""

    name: str
    needs: tuple[str, ...]
    began: float
    ended: float


class Usage:
    """Notes when jobs start and end.

    Args:
        slots: how many jobs can run at a time, now.
        most: workers that there is room for; none: not known.
    """

    def __init__(self, slots: Callable[[], int], most: int | None = None) -> None:
        self._slots = slots
        self._most = most
        self._start = time.monotonic()
        self._running: dict[str, float] = {}
        self.spans: list[Span] = []
        self.capacity: list[tuple[float, int]] = [(0.0, slots())]

    def started(self, job: Job) -> None:
        """A job began; again, if its worker died."""
        self._running.setdefault(job.name, self._now())

    def ended(self, ended: Ended) -> None:
        """A job ended; one that never began, since what it needs failed, is no work."""
        job, now = ended.job, self._now()
        began = self._running.pop(job.name, None)
        if began is not None:
            self.spans.append(Span(job.name, job.needs, began, now))

    def _now(self) -> float:
        now, slots = time.monotonic() - self._start, self._slots()
        if slots != self.capacity[-1][1]:
            self.capacity.append((now, slots))
        return now

    def report(self) -> str:
        """A line for the end of a run."""
        return usage_line(self.spans, self.capacity, self._most)


def usage_line(
    spans: Sequence[Span], capacity: Sequence[tuple[float, int]], most: int | None = None
) -> str:
    """Busy and idle shares, and what more workers would have saved if there is room for them.

    Args:
        spans: of all jobs that ran.
        capacity: from when on there were how many workers.
        most: workers that there is room for, one a core; none: any number.
    """
    if not spans:
        return "no job ran"
    end = max(span.ended for span in spans)
    shares = _shares(spans, capacity, end)
    total = sum(shares.values()) or 1.0
    workers = max(1, round(total / end)) if end else 1
    idle = ", ".join(
        f"{share / total:.0%} {why}"
        for why, share in shares.items()
        if why != BUSY and share / total >= 0.005
    )
    return (
        f"{workers} worker{'s' * (workers > 1)} busy {shares[BUSY] / total:.0%} of {duration(end)}"
        f"{f' (idle: {idle})' if idle else ''}{_savings(spans, workers, most)}"
    )


def _savings(spans: Sequence[Span], workers: int, most: int | None) -> str:
    if most is not None and workers >= most:
        return ""
    now = makespan(spans, workers)
    one = now - makespan(spans, workers + 1)
    many = now - makespan(spans, most or len(spans))
    number = f"one for each of {most} cores" if most else "any number"
    return f"; one more would have saved {duration(one)}, {number} at most {duration(many)}"


BUSY, DRIVER, TEACHERS, END = "busy", "between jobs", "waiting for teachers", "at the end"


def _shares(
    spans: Sequence[Span], capacity: Sequence[tuple[float, int]], end: float
) -> dict[str, float]:
    """Worker-seconds that were busy, and idle for which reason."""
    ends = {span.name: span.ended for span in spans}
    # What changes at a moment: jobs blocked, ready and running, and workers.
    changes: list[tuple[float, tuple[int, int, int, int]]] = []
    for span in spans:
        free = max((ends[name] for name in span.needs if name in ends), default=0.0)
        changes += [(0.0, (1, 0, 0, 0)), (free, (-1, 1, 0, 0))]
        changes += [(span.began, (0, -1, 1, 0)), (span.ended, (0, 0, -1, 0))]
    before = 0
    for moment, workers in capacity:
        changes.append((moment, (0, 0, 0, workers - before)))
        before = workers
    shares = dict.fromkeys((BUSY, DRIVER, TEACHERS, END), 0.0)
    state, last = [0, 0, 0, 0], 0.0
    for moment, change in sorted(changes):
        blocked, ready, running, workers = state
        passed = min(moment, end) - last
        why = DRIVER if ready else TEACHERS if blocked else END
        shares[BUSY] += passed * running
        shares[why] += passed * max(0, workers - running)
        state = [a + b for a, b in zip(state, change, strict=True)]
        last = min(moment, end)
    return shares


def makespan(spans: Sequence[Span], workers: int) -> float:
    """Seconds that the same jobs, started in the same order, take so many workers."""
    left, dependants = {}, defaultdict(list)
    by_name = {span.name: span for span in spans}
    ready: list[tuple[float, str]] = []
    for span in spans:
        needs = [name for name in span.needs if name in by_name]
        left[span.name] = len(needs)
        for name in needs:
            dependants[name].append(span)
        if not needs:
            heapq.heappush(ready, (span.began, span.name))
    now = 0.0
    running: list[tuple[float, str]] = []
    while ready or running:
        while ready and len(running) < workers:
            span = by_name[heapq.heappop(ready)[1]]
            heapq.heappush(running, (now + span.ended - span.began, span.name))
        now, name = heapq.heappop(running)
        for span in dependants[name]:
            left[span.name] -= 1
            if not left[span.name]:
                heapq.heappush(ready, (span.began, span.name))
    return now
