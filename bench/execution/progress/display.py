"""What is going on, on stderr: a live line on a terminal, otherwise a line per finished cell."""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from textwrap import shorten
from types import TracebackType
from typing import Any

from distillation_bench.bench.common.text import duration, terminal_safe
from distillation_bench.bench.execution.jobs import Job
from distillation_bench.bench.execution.scheduler import Ended
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.planning.estimates.job_durations import DurationEstimator

SECOND = 1.0


class Progress:
    """Counts cells done, running and failed, and guesses the time left.

    Args:
        cells: to run, by job name.
        slots: how many jobs run at a time, now.
        estimate: seconds of cells.
    """

    def __init__(
        self, cells: Mapping[str, Cell], slots: Callable[[], int], estimate: DurationEstimator
    ) -> None:
        self.cells = cells
        self.done = self.failed = 0
        self._slots = slots
        self._estimate = estimate
        self._running: set[str] = set()
        self._waiting = Counter(cell.job_kind for cell in cells.values())
        self._start = time.monotonic()
        self._guessed = -math.inf
        self._guess = ""
        self._live: Any = None

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            console = Console(stderr=True, markup=False, highlight=False)
            self._live = Live(console=console, get_renderable=self.summary, refresh_per_second=4)
            self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def started(self, job: Job) -> None:
        """A job began."""
        self._running.add(job.name)

    def ended(self, ended: Ended) -> None:
        """A job ended; a cell's line is written where stderr is no terminal."""
        name = ended.job.name
        self._running.discard(name)
        if name not in self.cells:
            return
        self._waiting[self.cells[name].job_kind] -= 1
        self.done += not ended.failed
        self.failed += ended.failed
        line = self._line(self.cells[name], ended)
        if self._live is None:
            print(line, file=sys.stderr, flush=True)
        elif ended.failed:
            self._live.console.print(line)

    def _line(self, cell: Cell, ended: Ended) -> str:
        width = len(str(len(self.cells)))
        number = f"[{self.done + self.failed:{width}}/{len(self.cells)}]"
        name = terminal_safe(f"{cell.dataset} {cell.label} seed {cell.seed}")
        if ended.failed:
            reason = shorten(terminal_safe(ended.reason), 300, placeholder=" …")
            return f"{number} FAILED {name}: {reason}"
        seconds = ended.value[0]["timings"]["seconds"] if ended.value else 0.0
        return f"{number} {name}  {seconds:.1f} s, {self._left()}"

    def summary(self) -> str:
        """One line of everything."""
        running = sum(name in self.cells for name in self._running)
        passed = duration(time.monotonic() - self._start)
        teachers = len(self._running) - running
        also = f" and {teachers} for teachers" if teachers else ""
        return (
            f"{self.done}/{len(self.cells)} cells done, {running} running{also}, "
            f"{self.failed} failed, {passed} passed, {self._left()}"
        )

    def _left(self) -> str:
        if self.done + self.failed == len(self.cells):
            return "none left"
        # Not for every line, of which there can be a hundred a second.
        if time.monotonic() - self._guessed > SECOND:
            self._guessed = time.monotonic()
            seconds = self._estimate.total(self._waiting) / max(1, self._slots())
            known = self._estimate.mean(("cell",)) is not None
            self._guess = f"about {duration(seconds)} left" if known else "time left not known yet"
        return self._guess
