"""How long tasks take, guessed from those that have run."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

Kind = tuple[str, ...]
"""What takes about as long, from the general to the special: "cell", dataset, label."""


class Estimate:
    """Mean seconds by kind; of an unknown one those of its dataset, else of any."""

    def __init__(self) -> None:
        self._seconds: dict[Kind, float] = defaultdict(float)
        self._counts: dict[Kind, int] = defaultdict(int)

    def learn(self, kind: Kind, seconds: float) -> None:
        """A task took so long."""
        for group in _groups(kind):
            self._seconds[group] += seconds
            self._counts[group] += 1

    def mean(self, kind: Kind) -> float | None:
        """Of exactly this kind; None where none has run."""
        count = self._counts.get(kind)
        return self._seconds[kind] / count if count else None

    def guess(self, kind: Kind) -> float | None:
        """Of the nearest kind that is known; None before anything is."""
        means = (self.mean(group) for group in _groups(kind))
        return next((mean for mean in means if mean is not None), None)

    def total(self, counts: Mapping[Kind, int]) -> float:
        """Seconds of so many tasks of each kind, one after another; those unknown count nothing."""
        return sum(count * (self.guess(kind) or 0.0) for kind, count in counts.items())


def _groups(kind: Kind) -> list[Kind]:
    return [kind[:length] for length in range(len(kind), 0, -1)]


class Chain(NamedTuple):
    """What can't all run side by side: a cell waits for its teacher.

    Attributes:
        teacher: seconds of the teacher.
        pieces: how many tasks it is trained in, side by side.
        cell: seconds of the longest cell that waits for it.
    """

    teacher: float
    pieces: int
    cell: float

    def seconds(self, jobs: int) -> float:
        """From the teacher's first piece to the end of the cell."""
        return self.teacher / self.pieces * math.ceil(self.pieces / jobs) + self.cell


def wall_seconds(work: float, chains: Iterable[Chain], jobs: int) -> float:
    """Seconds until all is done, some jobs at a time: of all work, or of the longest chain."""
    return max([work / jobs, *(chain.seconds(jobs) for chain in chains)])
