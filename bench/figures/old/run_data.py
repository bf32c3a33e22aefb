"""The results that all figures of a selection share, each read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from distillation_bench.bench.analysis.old_results import MetricInfo, Results
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.figures.old.appearance.style import LabelStyles
from distillation_bench.bench.figures.old.figure_types import FigureOptions
from distillation_bench.bench.storage.tables import CellKey

CellValues = Mapping[CellKey, float]
"""Values of one metric by cell."""


@dataclass
class RunData:
    """Results, the selection of them that is drawn, and how each label is drawn.

    Attributes:
        results: results of one run or several.
        options: the selection.
        styles: style of each label.
        damaged: damaged files that were left out, with the cell of each.
    """

    results: Results
    options: FigureOptions
    styles: LabelStyles
    damaged: dict[Path, CellKey] = field(default_factory=dict)
    _values: dict[MetricInfo, CellValues] = field(default_factory=dict)
    _shifted: dict[str, Mapping[tuple[str, int], CellValues]] = field(default_factory=dict)

    @classmethod
    def of(cls, results: Results, options: FigureOptions) -> RunData:
        """Return the data of a selection with the default styles."""
        return cls(results, options, LabelStyles(results))

    @cached_property
    def labels(self) -> list[str]:
        """Selected labels in the order of tables.

        Raises:
            UsageError: a name is unknown.
        """
        selected = set(self.results.select_labels(self.options.labels, None, "method", "the run"))
        return [label for label in self.results.labels() if label in selected]

    @cached_property
    def datasets(self) -> list[str]:
        """Selected datasets in order of name.

        Raises:
            UsageError: a name is unknown.
        """
        selected = set(self.results.select_datasets(self.options.datasets, "dataset", "the run"))
        return [name for name in self.results.datasets if name in selected]

    def values(self, metric: MetricInfo) -> CellValues:
        """Return a metric's values by cell; empty if no cell has it."""
        if metric not in self._values:
            try:
                self._values[metric] = self.results.values(metric)
            except UsageError:
                self._values[metric] = {}
        return self._values[metric]

    def shifted_values(self, name: str) -> Mapping[tuple[str, int], CellValues]:
        """Return a metric's values on shifted test sets, by shift and severity, then by cell."""
        if name not in self._shifted:
            values: dict[tuple[str, int], dict[CellKey, float]] = {}
            long_table = self.results.long_table(lambda row: bool(row[1]) and row[3] == name)
            for cell, (_, shift, severity, *_), value in long_table:
                values.setdefault((shift, int(severity)), {})[cell] = value
            self._shifted[name] = values
        return self._shifted[name]
