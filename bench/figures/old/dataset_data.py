"""The results of one dataset that a figure shows."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np
from matplotlib.figure import Figure

from distillation_bench.bench.analysis.old_chance_level import (
    TeacherDetection,
    auroc_metrics,
    teacher_detections,
)
from distillation_bench.bench.analysis.old_metric_formats import MetricFormat, metric_format
from distillation_bench.bench.analysis.old_results import MetricInfo
from distillation_bench.bench.analysis.old_summaries import best_first, summarise
from distillation_bench.bench.analysis.statistics import Interval, paired_interval
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.figures.old.appearance.layout import NoData
from distillation_bench.bench.figures.old.figure_types import DrawnFigure
from distillation_bench.bench.figures.old.run_data import RunData
from distillation_bench.bench.figures.stored_curves import Curves, are_consistent
from distillation_bench.bench.storage.run_folder import DamagedFile, Record
from distillation_bench.bench.storage.tables import CellKey

SeedValues = Mapping[int, float]
"""Values of a metric by seed."""
LabelValues = Mapping[str, SeedValues]
"""Values of a metric by label and seed."""


class DatasetData:
    """One dataset of the selected results."""

    def __init__(self, run: RunData, dataset: str) -> None:
        self.run = run
        self.results = run.results
        self.options = run.options
        self.styles = run.styles
        self.dataset = dataset
        planned = set(self.results.labels(dataset))
        self.labels = [label for label in run.labels if label in planned]
        self._damaged: set[CellKey] = set()

    # Cells

    def key(self, label: str, seed: int) -> CellKey:
        """Return the key of a cell of this dataset."""
        return self.dataset, label, seed

    def status(self, label: str, seed: int) -> str:
        """Return the status of a cell; `damaged` if a file beside its record is."""
        key = self.key(label, seed)
        return "damaged" if key in self._damaged else self.results.statuses[key]

    def seeds(self, label: str) -> list[int]:
        """Return the selected seeds of a label whose cells are done, in ascending order."""
        return [
            seed
            for seed in self.results.seeds(self.dataset, label)
            if self.results.statuses.get(self.key(label, seed)) == "done"
            and self.options.seed in (None, seed)
        ]

    @cached_property
    def seed(self) -> int:
        """The seed of figures that show one: the first of those that most labels have.

        Raises:
            NoData: no cell is done.
        """
        counts = Counter(seed for label in self.labels for seed in self.seeds(label))
        if not counts:
            raise NoData("no cell is done")
        return max(sorted(counts), key=lambda seed: counts[seed])

    def record(self, label: str, seed: int) -> Record:
        """Return a cell's record; empty if it is damaged."""
        return self.results.record(self.key(label, seed)) or {}

    # Files beside records

    def curves(self, label: str, seed: int) -> Curves:
        """Return the arrays beside a cell's record; empty if they cannot be used."""
        key = self.key(label, seed)
        facts = self.results.facts.get(key)
        if facts is None or facts.status != "done" or not facts.has_curves:
            return {}
        run = self.results.holders[self.results.cells[key]["id"]]
        curves = run.curves(self.record(label, seed))
        if curves and are_consistent(curves):
            return curves
        self.leave_out(key, "curves")
        return {}

    def history(self, label: str, seed: int) -> list[dict[str, str]]:
        """Return a cell's training, one row for each epoch; empty if it cannot be used."""
        key = self.key(label, seed)
        facts = self.results.facts.get(key)
        if facts is None or not facts.has_history:
            return []
        run = self.results.holders[self.results.cells[key]["id"]]
        try:
            return run.history(self.record(label, seed))
        except DamagedFile:
            self.leave_out(key, "history")
            return []

    def leave_out(self, key: CellKey, part: str) -> None:
        """Record that the `curves` or the `history` of a cell are missing or damaged."""
        cell_id = self.results.cells[key]["id"]
        files = self.results.holders[cell_id].paths(cell_id)
        path = files.curves if part == "curves" else files.history
        self.run.damaged[path] = key
        self._damaged.add(key)

    def curves_of_one_seed(self) -> dict[str, Curves]:
        """Return the arrays of the one seed that is shown, by label, where there are any."""
        curves = {label: self.curves(label, self.seed) for label in self.labels}
        return {label: arrays for label, arrays in curves.items() if arrays}

    def array_of_seeds(self, name: str) -> dict[str, dict[int, np.ndarray]]:
        """Return an array of all seeds that have it, by label and seed."""
        arrays: dict[str, dict[int, np.ndarray]] = {}
        for label in self.labels:
            for seed in self.seeds(label):
                curves = self.curves(label, seed)
                if name in curves:
                    arrays.setdefault(label, {})[seed] = curves[name]
        return arrays

    # Values

    def metrics(self, default: Sequence[str]) -> list[MetricInfo]:
        """Return the selected metrics, or those of the default, that have values here.

        Raises:
            UsageError: a selected metric is unknown.
            NoData: none has values here.
        """
        if self.options.metrics:
            metrics = [self.results.metric(name) for name in self.options.metrics]
        else:
            metrics = [metric for name in default if (metric := self.find_metric(name))]
        metrics = [metric for metric in metrics if self.finite_values(metric)]
        if not metrics:
            raise NoData(f"no cell has {' or '.join(self.options.metrics or default)}")
        return metrics

    def find_metric(self, name: str) -> MetricInfo | None:
        """Return a metric; None if no run has it."""
        try:
            return self.results.metric(name)
        except UsageError:
            return None

    def metric(self, name: str) -> MetricInfo:
        """Return a metric that has values here.

        Raises:
            UsageError: it is unknown.
            NoData: it has no values here.
        """
        metric = self.results.metric(name)
        if not self.finite_values(metric):
            raise NoData(f"no cell has {name}")
        return metric

    @property
    def headline_metrics(self) -> list[str]:
        """Names of the leaderboard's metrics, in order of name."""
        described = self.results.manifest["metrics"]
        return [name for name, entry in described.items() if entry["headline"]]

    @cached_property
    def uncertainty_unit(self) -> str:
        """The unit of uncertainties: nats, or a squared target in regression."""
        is_regression = any(
            entry["task"] == "regression" and self.finite_values(self.results.metric(name))
            for name, entry in self.results.manifest["metrics"].items()
            if entry.get("task") and entry["headline"]
        )
        return "y²" if is_regression else "nats"

    def finite_values(self, metric: MetricInfo) -> LabelValues:
        """Return a metric's finite values; labels without any are left out."""
        return self.select(self.run.values(metric))

    def select(self, values: Mapping[CellKey, float]) -> LabelValues:
        """Return the finite values of this dataset's selected cells."""
        selected: dict[str, dict[int, float]] = {}
        for label in self.labels:
            for seed in self.seeds(label):
                value = values.get(self.key(label, seed), math.nan)
                if math.isfinite(value):
                    selected.setdefault(label, {})[seed] = value
        return selected

    def printed_values(self, metric: MetricInfo) -> tuple[MetricFormat, LabelValues]:
        """Return a metric's format, and its finite values in the printed unit."""
        values = self.finite_values(metric)
        shown = metric_format(metric, [v for seeds in values.values() for v in seeds.values()])
        return shown, {
            label: {seed: shown.convert(value) for seed, value in seeds.items()}
            for label, seeds in values.items()
        }

    def best_student(
        self, values: LabelValues, better: str, detection: TeacherDetection | None = None
    ) -> str:
        """Return the student with the best mean, of those with the most seeds.

        Empty without a direction or a second student, and if the teacher detects worse than chance.
        """
        students = {k: v for k, v in values.items() if k not in self.results.references}
        summaries = {label: summarise([*seeds.values()]) for label, seeds in students.items()}
        ranked = best_first(summaries, better)
        below_chance = detection is not None and detection.is_below_chance
        return ranked[0] if better and not below_chance and len(ranked) > 1 else ""

    def below_chance(self, metrics: Iterable[MetricInfo]) -> dict[MetricInfo, TeacherDetection]:
        """Return the metrics in which the teacher detects worse than chance: none is best."""
        detections = {metric: self._teacher_detection(metric) for metric in metrics}
        return {metric: d for metric, d in detections.items() if d and d.is_below_chance}

    def _teacher_detection(self, metric: MetricInfo) -> TeacherDetection | None:
        values = {auroc: self.run.values(auroc) for auroc in auroc_metrics([metric]).values()}
        return teacher_detections(self.results, [metric], values).get((self.dataset, metric))

    # Figures

    def finish(
        self, kind: str, title: str, alt: str, figure: Figure, part: str = ""
    ) -> DrawnFigure:
        """Return a figure of this dataset; `part` tells several figures of a kind apart."""
        return DrawnFigure(file_name(kind, self.dataset, part), title, alt, figure)


def file_name(*parts: str) -> str:
    """Return a file name that is safe on every system, from a figure's kind and its subject."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", "-".join(filter(None, parts))).strip("._")


def seed_interval(values: SeedValues) -> Interval:
    """Return the mean over seeds with its 95 % t interval; without limits for a single seed."""
    return paired_interval(list(values.values()))
