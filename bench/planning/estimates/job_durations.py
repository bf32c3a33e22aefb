"""How long jobs take, guessed from those that have run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

JobKind = tuple[str, ...]
"""What jobs of about the same duration have in common, from the general to the special: "cell",
dataset, label."""


class DurationEstimator:
    """Mean seconds by kind of job; a kind that has not run has those of the nearest kind."""

    def __init__(self) -> None:
        self._seconds: dict[JobKind, float] = defaultdict(float)
        self._counts: dict[JobKind, int] = defaultdict(int)

    def learn(self, kind: JobKind, seconds: float) -> None:
        """Add the duration of a job."""
        for prefix in _prefixes(kind):
            self._seconds[prefix] += seconds
            self._counts[prefix] += 1

    def mean(self, kind: JobKind) -> float | None:
        """Return the mean seconds of exactly this kind; None if no such job has run."""
        count = self._counts.get(kind)
        return self._seconds[kind] / count if count else None

    def guess(self, kind: JobKind) -> float | None:
        """Return the mean seconds of the nearest kind that has run; None if none has."""
        means = (self.mean(prefix) for prefix in _prefixes(kind))
        return next((mean for mean in means if mean is not None), None)

    def total(self, counts: Mapping[JobKind, int]) -> float:
        """Return the seconds of jobs, counted by kind, that run in turn; unknown kinds take 0."""
        return sum(count * (self.guess(kind) or 0.0) for kind, count in counts.items())


def _prefixes(kind: JobKind) -> list[JobKind]:
    return [kind[:length] for length in range(len(kind), 0, -1)]
