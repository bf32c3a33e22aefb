"""Watching a run that another process drives, from its folder alone."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean
from textwrap import shorten
from typing import Any

from distillation_bench.bench.common.terminal_tables import text_table
from distillation_bench.bench.common.text import duration, terminal_safe
from distillation_bench.bench.storage.formats.schema import STATUSES
from distillation_bench.bench.storage.run_folder import CellStatus, Run, cell_status, name_of


@dataclass(frozen=True)
class Seen:
    """What is known of a finished cell.

    Attributes:
        outcome: how it ended.
        written: when, in seconds since the epoch.
    """

    outcome: CellStatus
    written: float


class WatchedRun:
    """A run's cells as they finish; a record is read only once."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.cells: Mapping[str, Any] = {}
        self.seen: dict[str, Seen] = {}
        self.holder = ""

    def look(self) -> list[str]:
        """Read what is new; returns the ids of cells that have finished since."""
        # Who drives comes first: what a driver that ends now has written is still seen.
        self.holder = self.run.holder()
        self.cells = self.run.existing_manifest()["cells"]
        found = {cell_id: self._find(cell_id) for cell_id in self.cells}
        known = {cell_id: seen for cell_id, seen in found.items() if seen is not None}
        new = [cell_id for cell_id, seen in known.items() if self.seen.get(cell_id) is not seen]
        self.seen = known
        return sorted(new, key=lambda cell_id: known[cell_id].written)

    def _find(self, cell_id: str) -> Seen | None:
        try:
            written = self.run.files(cell_id).record.stat().st_mtime
        except OSError:
            return None
        known = self.seen.get(cell_id)
        if known is not None and known.written == written:
            return known
        record = self.run.record(cell_id)
        return None if record is None else Seen(cell_status(record), written)

    def status(self, cell_id: str) -> str:
        """One of STATUSES."""
        seen = self.seen.get(cell_id)
        return seen.outcome.status if seen else "missing"

    def line(self, cell_id: str) -> str:
        """What is said of a cell that has finished."""
        outcome, name = self.seen[cell_id].outcome, name_of(self.cells[cell_id])
        if outcome.status == "failed":
            return f"FAILED {name}: {shorten(terminal_safe(outcome.reason), 300, placeholder=' …')}"
        return f"{name}  {outcome.status}, {outcome.seconds:.1f} s"

    def summary(self) -> str:
        """Counts, who drives, and the time left, in one line."""
        counts = Counter(self.status(cell_id) for cell_id in self.cells)
        parts = [f"{counts[status]} {status}" for status in STATUSES if counts[status]]
        left = self._left() if counts["missing"] and self.holder else ""
        driven = f"driven by {self.holder}" if self.holder else "nothing runs"
        total = f"{len(self.cells)} cells: {', '.join(parts)}"
        return "; ".join(each for each in (total, left, driven) if each)

    def _left(self) -> str:
        """By what has finished since this driver began: teachers and parallel cells included."""
        try:
            start = (self.run.folder / ".driver").stat().st_mtime
        except OSError:
            return ""
        passed = time.time() - start
        work = sum(seen.outcome.seconds for seen in self.seen.values() if seen.written >= start)
        if not work:
            return "time left not known yet"
        waiting = [cell for cell_id, cell in self.cells.items() if cell_id not in self.seen]
        return f"about {duration(self._work(waiting) * passed / work)} left"

    def _work(self, waiting: list[Any]) -> float:
        """Seconds of cells, by those of their dataset and label, else of all."""
        alike: dict[Any, list[float]] = {}
        for cell_id, seen in self.seen.items():
            if seen.outcome.seconds:
                cell = self.cells[cell_id]
                for group in ((cell["dataset"], cell["label"]), ()):
                    alike.setdefault(group, []).append(seen.outcome.seconds)
        means = {group: fmean(seconds) for group, seconds in alike.items()}
        return sum(means.get((c["dataset"], c["label"]), means[()]) for c in waiting)

    def screen(self) -> str:
        """The summary, what failed, and counts by dataset and method."""
        counts: dict[tuple[str, str], Counter[str]] = {}
        for cell_id, cell in self.cells.items():
            group = cell["dataset"], cell["label"]
            counts.setdefault(group, Counter())[self.status(cell_id)] += 1
        failed = [cell_id for cell_id in self.seen if self.status(cell_id) == "failed"]
        rows = [
            [*map(terminal_safe, g), *(count[s] or "" for s in STATUSES)]
            for g, count in sorted(counts.items())
        ]
        headers = ["dataset", "method", *STATUSES]
        table = text_table(rows, headers)
        return "\n".join([self.summary(), *map(self.line, failed), "", table])


def watch(run: Run, every: float) -> None:
    """Show a run until nothing drives it: a screen on a terminal, else a line a change."""
    watched = WatchedRun(run)
    shows = _on_screen if sys.stdout.isatty() else _line_by_line
    shows(watched, _looks(watched, every))


def _looks(watched: WatchedRun, every: float) -> Iterator[list[str]]:
    """What each look finds; the last is at a run that nothing drives any more."""
    yield watched.look()
    while watched.holder:
        time.sleep(every)
        yield watched.look()


def _on_screen(watched: WatchedRun, looks: Iterator[list[str]]) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(markup=False, highlight=False)
    with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:
        for _ in looks:
            live.update(Text(watched.screen(), no_wrap=True, overflow="ellipsis"), refresh=True)


def _line_by_line(watched: WatchedRun, looks: Iterator[list[str]]) -> None:
    next(looks)
    print(watched.summary(), flush=True)
    for new in looks:
        for cell_id in new:
            print(watched.line(cell_id))
        if new or not watched.holder:
            print(watched.summary(), flush=True)
