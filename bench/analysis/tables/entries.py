"""What a table is made of: what was chosen, its entries, and what tests tell of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from distillation_bench.bench.analysis.chance_level import TeacherDetection
from distillation_bench.bench.analysis.metric_formats import MetricFormat
from distillation_bench.bench.analysis.statistics import ALPHA, smallest_p
from distillation_bench.bench.analysis.summaries import Summary

Mark = Literal["", "best", "second"]


@dataclass(frozen=True)
class Choice:
    """What of the results is shown, and how.

    Attributes:
        metrics: selectors; none: the headline metrics.
        datasets, labels: kept, in this order; none: all in the order of tables.
        by: "dataset": a table each, a column a metric; "metric": a table each, a column a dataset.
        transpose: methods as columns.
        sort: a selector: methods by it, the best first.
        digits: decimals of everything.
        raw: figures as recorded, not as papers print them.
    """

    metrics: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    by: str = "dataset"
    transpose: bool = False
    sort: str = ""
    digits: int | None = None
    raw: bool = False


@dataclass(frozen=True)
class Entry:
    """One figure of a table.

    Attributes:
        dataset, label, quantity: what it is of.
        summary: over seeds, in the printed unit; None: there is no figure.
        planned: seeds that were asked for.
        empty: what stands where there is no figure: "failed", "skipped", "missing" or "–".
        mark: of the best and the second.
        level: whether a test did not tell it from the best; None: no test could.
        standing: of a detector, how the teacher itself does; None of what detects nothing.
        at_bound: seeds whose temperature, on which it depends, is at a bound of its fit.
    """

    dataset: str
    label: str
    quantity: MetricFormat
    summary: Summary | None
    planned: int
    empty: str = "–"
    mark: Mark = ""
    level: bool | None = None
    standing: TeacherDetection | None = None
    at_bound: int = 0

    @property
    def is_of_chance(self) -> bool:
        """Whether it is a figure that is grey: the teacher itself detects worse than chance."""
        below = self.standing is not None and self.standing.is_below_chance
        return below and self.summary is not None

    @property
    def n(self) -> int:
        """Seeds in the mean."""
        return self.summary.n if self.summary else 0


@dataclass(frozen=True)
class Verdict:
    """What tests of one metric on one dataset tell about its best student.

    The best is found in the same figures, so every pair of students is a comparison: Holm's
    correction over those with the best alone would err more often than it says.

    Attributes:
        comparisons: pairs of ranked students that share seeds and teachers.
        n: seeds of each pair with the best, by the other's label.
        level: by label, whether the test did not tell it from the best, where it could.
        unranked: students with a figure that lack a seed or have one that is not finite.
    """

    comparisons: int
    n: Mapping[str, int]
    level: Mapping[str, bool]
    unranked: tuple[str, ...]

    @property
    def untold(self) -> list[str]:
        """Labels that no test could tell from the best: too few seeds are shared."""
        return [label for label in self.n if label not in self.level]

    @property
    def tells(self) -> bool:
        """Whether a test could tell any student from the best."""
        return any(can_tell(self.comparisons, n) for n in self.n.values())


def can_tell(comparisons: int, n: int) -> bool:
    """Whether the smallest p of n pairs passes the first step of Holm's correction."""
    return n > 0 and comparisons * smallest_p(n) <= ALPHA


@dataclass(frozen=True)
class Gap:
    """Cells of a method on a dataset that give no figure, and the first reason."""

    dataset: str
    label: str
    what: str
    reason: str


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: of the dataset or the metric that it is of.
        title: in words.
        corner: what rows are.
        columns: headers.
        rows: a heading and an entry a column.
        verdicts: of its datasets and metrics.
        gaps: what is missing.
        references: of its methods, those that are not ranked.
        rules: numbers of the rows that a thin rule stands before.
        remarks: whatever else must be said.
    """

    name: str
    title: str
    corner: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Entry, ...]], ...]
    verdicts: tuple[Verdict, ...] = ()
    gaps: tuple[Gap, ...] = ()
    references: tuple[str, ...] = ()
    rules: tuple[int, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def entries(self) -> Iterator[Entry]:
        """All, row by row."""
        return (entry for _, row in self.rows for entry in row)

    @cached_property
    def seeds(self) -> int:
        """The n of most figures."""
        counts = Counter(entry.n for entry in self.entries if entry.n)
        return max(counts, key=lambda n: (counts[n], n), default=0)
