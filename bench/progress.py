"""What is going on, on stderr: a live line on a terminal, otherwise a line per finished cell."""

from __future__ import annotations

import sys
import time
from textwrap import shorten
from types import TracebackType
from typing import Any

from bench.estimate import Estimate, clock
from bench.plan import Cell
from bench.scheduler import Ended, Task


class Progress:
    """Counts cells done, running and failed, and guesses the time left.

    Args:
        cells: to run, by task name.
        jobs: tasks at a time.
        estimate: seconds of tasks; learns from those that end.
    """

    def __init__(self, cells: dict[str, Cell], jobs: int, estimate: Estimate) -> None:
        self.cells = cells
        self.jobs = jobs
        self.estimate = estimate
        self.done = self.failed = 0
        self._running: dict[str, float] = {}
        self._waiting = dict.fromkeys(cells)
        self._start = time.monotonic()
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

    def started(self, task: Task) -> None:
        """A task began."""
        self._running[task.name] = time.monotonic()

    def ended(self, ended: Ended) -> None:
        """A task ended; a cell's line is written where stderr is no terminal."""
        name = ended.task.name
        began = self._running.pop(name, None)
        if not ended.failed and began is not None:
            self.estimate.learn(name, time.monotonic() - began)
        if name not in self.cells:
            return
        self._waiting.pop(name, None)
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
        name = f"{cell.dataset} {cell.label} seed {cell.seed}"
        if ended.failed:
            return f"{number} FAILED {name}: {shorten(ended.reason, 300, placeholder=' …')}"
        seconds = ended.value[0]["timings"]["seconds"] if ended.value else 0.0
        return f"{number} {name}  {seconds:.1f} s, {self._left()}"

    def summary(self) -> str:
        """One line of everything."""
        running = sum(name in self.cells for name in self._running)
        passed = clock(time.monotonic() - self._start)
        teachers = len(self._running) - running
        also = f" and {teachers} for teachers" if teachers else ""
        return (
            f"{self.done}/{len(self.cells)} cells done, {running} running{also}, "
            f"{self.failed} failed, {passed} passed, {self._left()}"
        )

    def _left(self) -> str:
        if not self._waiting:
            return "none left"
        if not self.estimate.knows_something:
            return "time left not known yet"
        return f"about {clock(self.estimate.total(self._waiting) / self.jobs)} left"
