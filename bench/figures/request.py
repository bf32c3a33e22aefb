"""What all figures of results share: what was asked for, and what was read of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from matplotlib.figure import Figure

from distillation_bench.bench.analysis.results import Metric, Results, Slot
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.figures.panels import note_of
from distillation_bench.bench.figures.style import Format, Look


@dataclass(frozen=True)
class Options:
    """What of the results is drawn.

    Attributes:
        datasets: only these.
        labels: only these; each a label, or a method, which is all its variants.
        seed: only this one; else figures of one seed show the first that most labels have.
        metrics: selectors, of figures that show metrics.
        sets: evaluation sets as in selectors (`test`, `rotation/3`, `ood:plane`), of figures that
            show sets.
    """

    datasets: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    seed: int | None = None
    metrics: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Drawn:
    """A figure.

    Attributes:
        name: of its file, without the ending.
        title: in words.
        alt: what there is to see, for those who can't.
        figure: matplotlib's.
    """

    name: str
    title: str
    alt: str
    figure: Figure

    @property
    def note(self) -> str:
        """What is written below it: n, and what is missing."""
        return note_of(self.figure)


@dataclass(frozen=True)
class Rendered:
    """A figure as it is written: the content of each format, its size in inches."""

    name: str
    title: str
    alt: str
    note: str
    width: float
    height: float
    contents: Mapping[Format, bytes]


@dataclass
class Material:
    """What all figures of results share."""

    results: Results
    options: Options
    look: Look
    figures: dict[Metric, Mapping[Slot, float]] = field(default_factory=dict)
    shifts: dict[str, Mapping[tuple[str, int], Mapping[Slot, float]]] = field(default_factory=dict)
    damaged: dict[Path, Slot] = field(default_factory=dict)
    """Files beside records that were left out, with the cell of each."""

    @cached_property
    def labels(self) -> list[str]:
        """That were chosen, in the order of tables.

        Raises:
            UsageError: a name is unknown.
        """
        wanted = set(self.results.chosen_labels(self.options.labels, None, "method", "the run"))
        return [label for label in self.results.labels() if label in wanted]

    @cached_property
    def datasets(self) -> list[str]:
        """That were chosen, in order of name.

        Raises:
            UsageError: a name is unknown.
        """
        wanted = set(self.results.chosen_datasets(self.options.datasets, "dataset", "the run"))
        return [name for name in self.results.datasets if name in wanted]

    def values(self, metric: Metric) -> Mapping[Slot, float]:
        """A metric's figures by cell; empty if no cell has it."""
        if metric not in self.figures:
            try:
                self.figures[metric] = self.results.figures(metric)
            except UsageError:
                self.figures[metric] = {}
        return self.figures[metric]

    def shifted(self, name: str) -> Mapping[tuple[str, int], Mapping[Slot, float]]:
        """A metric's figures on shifted test sets, by shift and severity: the long table once."""
        if name not in self.shifts:
            found: dict[tuple[str, int], dict[Slot, float]] = {}
            of_shifts = self.results.long(lambda place: bool(place[1]) and place[3] == name)
            for slot, (_, kind, severity, *_), value in of_shifts:
                found.setdefault((kind, int(severity)), {})[slot] = value
            self.shifts[name] = found
        return self.shifts[name]
