"""What a table for a paper consists of: the selection, the entries, and results of tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from distillation_bench.bench.analysis.holm import can_reach_alpha
from distillation_bench.bench.analysis.old_chance_level import TeacherDetection
from distillation_bench.bench.analysis.old_metric_formats import MetricFormat
from distillation_bench.bench.analysis.old_summaries import Summary

Mark = Literal["", "best", "second"]


@dataclass(frozen=True)
class TableOptions:
    """Which results are shown, and how.

    Attributes:
        metrics: selectors; by default the headline metrics.
        datasets, labels: selected ones, in this order; by default all in the order of tables.
        by: "dataset" for a table per dataset with metrics as columns, or "metric" for a table per
            metric with datasets as columns.
        transpose: show methods as columns.
        sort: selector of a metric that methods are sorted by, the best first.
        digits: decimals of all values.
        raw: show values as recorded, not as papers print them.
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
class TableEntry:
    """A value of a table.

    Attributes:
        dataset, label: what it is of.
        format: the metric and how it is printed.
        summary: values over seeds in the printed unit; None if there is no value.
        planned: number of planned seeds.
        placeholder: text if there is no value: "failed", "skipped", "missing" or "–".
        mark: of the best and the second student.
        indistinguishable: whether a test did not distinguish it from the best; None if no test
            could.
        detection: how well the teacher itself detects; None if the metric detects nothing.
        at_bound: number of seeds whose temperature, on which it depends, is at a bound.
    """

    dataset: str
    label: str
    format: MetricFormat
    summary: Summary | None
    planned: int
    placeholder: str = "–"
    mark: Mark = ""
    indistinguishable: bool | None = None
    detection: TeacherDetection | None = None
    at_bound: int = 0

    @property
    def is_below_chance(self) -> bool:
        """Whether it is a value that is grey, since the teacher detects worse than chance."""
        below = self.detection is not None and self.detection.is_below_chance
        return below and self.summary is not None

    @property
    def n(self) -> int:
        """Number of seeds in the mean."""
        return self.summary.n if self.summary else 0


@dataclass(frozen=True)
class BestStudentTests:
    """Tests of the best student against the others, in one metric on one dataset.

    The best is chosen by the same values, so every pair of students is a comparison: Holm's
    correction over the pairs with the best alone would err more often than it states.

    Attributes:
        comparisons: number of pairs of ranked students that share seeds and teachers.
        n: number of seeds of each pair with the best, by the other's label.
        indistinguishable: by label, whether the test did not distinguish it from the best; without
            the labels for which no test could.
        unranked: students with values that lack a seed or have one that is not finite.
    """

    comparisons: int
    n: Mapping[str, int]
    indistinguishable: Mapping[str, bool]
    unranked: tuple[str, ...]

    @property
    def untested(self) -> list[str]:
        """Labels that no test could distinguish from the best: they share too few seeds."""
        return [label for label in self.n if label not in self.indistinguishable]

    @property
    def have_power(self) -> bool:
        """Whether a test could distinguish any student from the best."""
        return any(can_reach_alpha(self.comparisons, n) for n in self.n.values())


@dataclass(frozen=True)
class MissingCells:
    """Cells of a method on a dataset that have no values.

    Attributes:
        dataset, label: what they are of.
        counts: how many have which status: `1 failed and 1 missing of 3`.
        reason: the first reason.
    """

    dataset: str
    label: str
    counts: str
    reason: str


@dataclass(frozen=True)
class PaperTable:
    """A table.

    Attributes:
        name: name of the dataset or the metric that it is of.
        title: title in words.
        corner: header of the first column, which says what rows are.
        columns: headers of the other columns.
        rows: heading and entries of each row.
        tests: tests of its datasets and metrics.
        missing: cells without values.
        references: those of its methods that are not ranked.
        rules: indices of rows that have a thin rule above.
        remarks: what else must be said.
    """

    name: str
    title: str
    corner: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[TableEntry, ...]], ...]
    tests: tuple[BestStudentTests, ...] = ()
    missing: tuple[MissingCells, ...] = ()
    references: tuple[str, ...] = ()
    rules: tuple[int, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def entries(self) -> Iterator[TableEntry]:
        """All entries, row by row."""
        return (entry for _, row in self.rows for entry in row)

    @cached_property
    def usual_n(self) -> int:
        """The n of most entries."""
        counts = Counter(entry.n for entry in self.entries if entry.n)
        return max(counts, key=lambda n: (counts[n], n), default=0)


def value_text(entry: TableEntry, usual_n: int) -> str:
    """Return mean ± deviation in the printed unit, with n if it is not the usual one."""
    if entry.summary is None:
        return entry.placeholder
    format, summary = entry.format, entry.summary
    text = format.text(summary.mean)
    if summary.has_deviation and (summary.deviation or not format.exact):
        text += f" ± {format.text(summary.deviation)}"
    return text if summary.n == usual_n else f"{text} ({summary.n})"
