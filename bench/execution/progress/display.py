"""Progress of a run: the cells that are done, running and failed, and the time left."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from textwrap import shorten

from distillation_bench.bench.common.text import duration, terminal_safe
from distillation_bench.bench.execution.jobs import Job
from distillation_bench.bench.execution.progress.screens import screen
from distillation_bench.bench.execution.scheduler import FinishedJob
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.planning.estimates.job_durations import DurationEstimator

UPDATE_SECONDS = 1.0
"""The least time between two estimates of the time left."""


class Progress:
    """Counts cells that are done, running and failed, and estimates the time left.

    Args:
        cells: the cells to run, by the name of their job.
        slots: returns how many jobs can run at a time, now.
        estimate: the durations of cells.
    """

    def __init__(
        self, cells: Mapping[str, Cell], slots: Callable[[], int], estimate: DurationEstimator
    ) -> None:
        self.cells = cells
        self.done = self.failed = 0
        self._slots = slots
        self._estimate = estimate
        self._running: set[str] = set()
        self._unfinished = Counter(cell.job_kind for cell in cells.values())
        self._start = time.monotonic()
        self._updated = -math.inf
        self._time_left = ""

    @property
    def total(self) -> int:
        """The number of cells to run."""
        return len(self.cells)

    def job_started(self, job: Job) -> None:
        """Count the job as running."""
        self._running.add(job.name)

    def job_finished(self, finished: FinishedJob) -> None:
        """Count the job; show that a cell has ended."""
        name = finished.job.name
        self._running.discard(name)
        if name not in self.cells:
            return
        self._unfinished[self.cells[name].job_kind] -= 1
        self.done += not finished.failed
        self.failed += finished.failed
        screen().cell_finished(self._line(self.cells[name], finished), finished.failed)

    def _line(self, cell: Cell, finished: FinishedJob) -> str:
        width = len(str(len(self.cells)))
        number = f"[{self.done + self.failed:{width}}/{len(self.cells)}]"
        name = terminal_safe(f"{cell.dataset} {cell.label} seed {cell.seed}")
        if finished.failed:
            reason = shorten(terminal_safe(finished.reason), 300, placeholder=" …")
            return f"{number} FAILED {name}: {reason}"
        seconds = finished.value.timings["seconds"] if finished.value else 0.0
        return f"{number} {name}  {seconds:.1f} s, {self._remaining()}"

    def summary(self) -> str:
        """Return the counts, the time passed and the time left in one line."""
        running = sum(name in self.cells for name in self._running)
        passed = duration(time.monotonic() - self._start)
        teachers = len(self._running) - running
        running_teachers = f" and {teachers} for teachers" if teachers else ""
        return (
            f"{self.done}/{len(self.cells)} cells done, {running} running{running_teachers}, "
            f"{self.failed} failed, {passed} passed, {self._remaining()}"
        )

    def _remaining(self) -> str:
        if self.done + self.failed == len(self.cells):
            return "none left"
        # Not for every line, since there can be a hundred a second.
        if time.monotonic() - self._updated > UPDATE_SECONDS:
            self._updated = time.monotonic()
            seconds = self._estimate.total(self._unfinished) / max(1, self._slots())
            is_known = self._estimate.mean(("cell",)) is not None
            self._time_left = (
                f"about {duration(seconds)} left" if is_known else "time left not known yet"
            )
        return self._time_left
