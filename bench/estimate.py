"""How long tasks take, guessed from those that have run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from statistics import fmean

from bench.plan import Cell


class Estimate:
    """Mean seconds of equal tasks: of a cell's dataset and label, else its dataset, else any."""

    def __init__(self, cells: Mapping[str, Cell]) -> None:
        self._cells = cells
        self._known: dict[tuple[str, ...], list[float]] = defaultdict(list)

    def learn(self, name: str, seconds: float) -> None:
        """A task took so long."""
        for group in self._groups(name):
            self._known[group].append(seconds)

    @property
    def knows_something(self) -> bool:
        """Whether any cell has been learned from."""
        return () in self._known

    def guess(self, name: str) -> float | None:
        """Seconds; None before anything is known."""
        for group in self._groups(name):
            if group in self._known:
                return fmean(self._known[group])
        return None

    def total(self, names: Iterable[str]) -> float:
        """Seconds of several tasks, one after another; those unknown count nothing."""
        alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for name in names:
            alike[next(iter(self._groups(name)), ())].append(name)
        return sum(len(group) * (self.guess(group[0]) or 0.0) for group in alike.values())

    def _groups(self, name: str) -> list[tuple[str, ...]]:
        cell = self._cells.get(name)
        if cell is None:
            return []
        return [(cell.dataset, cell.label), (cell.dataset,), ()]


def clock(seconds: float) -> str:
    """`8 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
