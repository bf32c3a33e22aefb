"""The progress of a run that another process drives, read from the run's folder."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from distillation_bench.bench.common.text import duration
from distillation_bench.bench.execution.progress.status_counts import (
    failure_line,
    status_summary,
    status_table,
)
from distillation_bench.bench.storage.run_folder import (
    MISSING,
    CellStatus,
    Run,
    cell_name,
    cell_status,
)


@dataclass(frozen=True)
class FinishedCell:
    """A cell with a record.

    Attributes:
        outcome: how it ended.
        written: when the record was written, in seconds since the epoch.
    """

    outcome: CellStatus
    written: float


class WatchedRun:
    """The cells of a run as they finish. Each record is read only once.

    Attributes:
        run: the run.
        cells: all cells of the run's description, by id.
        finished: the cells that have a record, by id.
        driver: the process that drives the run; empty if there is none.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.cells: Mapping[str, Any] = {}
        self.finished: dict[str, FinishedCell] = {}
        self.driver = ""

    def update(self) -> list[str]:
        """Read the new records; return the ids of the cells that have finished, in order."""
        # The driver comes first, so that the records of one that ends just now are read, too.
        self.driver = self.run.driver()
        self.cells = self.run.existing_manifest()["cells"]
        cells = {cell_id: self._finished_cell(cell_id) for cell_id in self.cells}
        finished = {cell_id: cell for cell_id, cell in cells.items() if cell is not None}
        new = [i for i, cell in finished.items() if self.finished.get(i) is not cell]
        self.finished = finished
        return sorted(new, key=lambda cell_id: finished[cell_id].written)

    def _finished_cell(self, cell_id: str) -> FinishedCell | None:
        try:
            written = self.run.paths(cell_id).record.stat().st_mtime
        except OSError:
            return None
        previous = self.finished.get(cell_id)
        if previous is not None and previous.written == written:
            return previous
        record = self.run.record(cell_id)
        return None if record is None else FinishedCell(cell_status(record), written)

    def status(self, cell_id: str) -> str:
        """Return one of STATUSES."""
        cell = self.finished.get(cell_id)
        return (cell.outcome if cell else MISSING).status

    def line(self, cell_id: str) -> str:
        """Return a line about a cell that has finished."""
        outcome, cell = self.finished[cell_id].outcome, self.cells[cell_id]
        if outcome.status == "failed":
            return failure_line(cell, outcome.reason)
        return f"{cell_name(cell)}  {outcome.status}, {outcome.seconds:.1f} s"

    def summary(self) -> str:
        """Return the counts, the time left and the driver in one line."""
        counts = status_summary(self.cells, self.status)
        is_incomplete = len(self.finished) < len(self.cells)
        time_left = self._time_left() if is_incomplete and self.driver else ""
        driver = f"driven by {self.driver}" if self.driver else "nothing runs"
        return "; ".join(filter(None, (counts, time_left, driver)))

    def _time_left(self) -> str:
        """Estimate the time left from the cells that have finished since this driver began.

        So teachers and parallel cells are accounted for.
        """
        try:
            start = (self.run.folder / ".driver").stat().st_mtime
        except OSError:
            return ""
        cells = self.finished.values()
        seconds = sum(cell.outcome.seconds for cell in cells if cell.written >= start)
        if not seconds:
            return "time left not known yet"
        passed = time.time() - start
        return f"about {duration(self._missing_seconds() * passed / seconds)} left"

    def _missing_seconds(self) -> float:
        """Return the seconds that the missing cells will take.

        Each takes the mean of its dataset and label, or of all if none of these has finished.
        """
        durations: dict[tuple[str, ...], list[float]] = {}
        for cell_id, finished in self.finished.items():
            if finished.outcome.seconds:
                cell = self.cells[cell_id]
                for group in ((cell["dataset"], cell["label"]), ()):
                    durations.setdefault(group, []).append(finished.outcome.seconds)
        means = {group: fmean(seconds) for group, seconds in durations.items()}
        missing = [cell for cell_id, cell in self.cells.items() if cell_id not in self.finished]
        return sum(means.get((cell["dataset"], cell["label"]), means[()]) for cell in missing)

    def screen(self) -> str:
        """Return the summary, the failed cells, and the counts by dataset and method."""
        failed = [cell_id for cell_id in self.finished if self.status(cell_id) == "failed"]
        table = status_table(self.cells, self.status)
        return "\n".join([self.summary(), *map(self.line, failed), "", table])


def watch(run: Run, seconds: float) -> None:
    """Show a run until nothing drives it: a screen on a terminal, else a line per change.

    Args:
        run: the run.
        seconds: the time between two updates.
    """
    watched = WatchedRun(run)
    show = _show_on_screen if sys.stdout.isatty() else _print_lines
    show(watched, _updates(watched, seconds))


def _updates(watched: WatchedRun, seconds: float) -> Iterator[list[str]]:
    """Yield the cells that have finished since the last update, until nothing drives the run."""
    yield watched.update()
    while watched.driver:
        time.sleep(seconds)
        yield watched.update()


def _show_on_screen(watched: WatchedRun, updates: Iterator[list[str]]) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(markup=False, highlight=False)
    with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:
        for _ in updates:
            live.update(Text(watched.screen(), no_wrap=True, overflow="ellipsis"), refresh=True)


def _print_lines(watched: WatchedRun, updates: Iterator[list[str]]) -> None:
    next(updates)
    print(watched.summary(), flush=True)
    for finished in updates:
        for cell_id in finished:
            print(watched.line(cell_id))
        if finished or not watched.driver:
            print(watched.summary(), flush=True)
