"""The selected results that a figure shows, and the note that says what they are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from scipy.special import stdtrit

from distillation_bench.bench.analysis.chance_level import TeacherDetection, teacher_detections
from distillation_bench.bench.analysis.metric_info import MetricFormat, MetricInfo, metric_format
from distillation_bench.bench.analysis.missing_cells import describe_seeds
from distillation_bench.bench.analysis.ranking import rank_students
from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.text import counted
from distillation_bench.bench.figures.axis_scales import ANY, Limits, possible_values
from distillation_bench.bench.figures.registry import NoData
from distillation_bench.bench.figures.stored_curves import Curves, are_consistent, defined
from distillation_bench.bench.figures.style import LabelStyle
from distillation_bench.bench.storage.run_folder import DamagedFile


@dataclass(frozen=True)
class FigureOptions:
    """Which results are drawn, and how; empty options select all.

    Attributes:
        datasets: names of datasets.
        labels: labels of variants, or names of methods, which select all their variants.
        seed: a single seed. Figures that show one seed use by default the first one that most
            variants have.
        metrics: selectors (`NAME[:SCORE][@SET]`) for figures that show metrics.
        baseline: label that figures of differences compare with.
        sets: evaluation sets (`test`, `rotation/3`, `ood:plane`) for figures that show sets.
        width: inches, or the venue whose column and text are as wide; see `style.WIDTHS`.
        note: whether the note is written below the panels.
        font: name of a font of this machine.
    """

    datasets: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    seed: int | None = None
    metrics: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    width: str = ""
    note: bool = True
    font: str = ""
    baseline: str = ""


@dataclass(frozen=True)
class FigureData:
    """The selected results of one dataset, or of all where `dataset` is empty.

    Attributes:
        results: all results.
        options: the selection.
        styles: how each label is drawn, by label.
        dataset: name of the dataset.
        ax: the caller's axes to draw into, which take one panel.
        damaged: damaged files that were left out, with the id of their cell.
        asked: the ids of cells whose files beside the record were read, with the kind of file.
    """

    results: Results
    options: FigureOptions
    styles: Mapping[str, LabelStyle]
    dataset: str = ""
    ax: Axes | None = None
    damaged: dict[Path, str] = field(default_factory=dict)
    asked: set[tuple[str, str]] = field(default_factory=set)

    # Cells

    @cached_property
    def labels(self) -> list[str]:
        """Selected labels of the dataset in the order of tables."""
        selected = self.results.select_labels(self.options.labels)
        return [label for label in self.results.labels(self.dataset or None) if label in selected]

    @cached_property
    def planned(self) -> pd.DataFrame:
        """The selected rows of `Results.planned`, those of cells that are not done included."""
        table = self.results.planned
        rows = table["label"].isin(self.labels)
        if self.dataset:
            rows &= table["dataset"].eq(self.dataset)
        elif self.options.datasets:
            rows &= table["dataset"].isin(self.options.datasets)
        if self.options.seed is not None:
            rows &= table["seed"].eq(self.options.seed)
        return table[rows]

    @property
    def done(self) -> pd.DataFrame:
        """The selected rows of `Results.planned` whose cells are done."""
        return self.planned[self.planned["status"].eq("done")]

    @cached_property
    def seed(self) -> int:
        """The seed of figures that show one: the first of those that most labels have.

        Raises:
            NoData: no cell is done.
        """
        counts = self.done["seed"].value_counts().sort_index()
        if counts.empty:
            raise NoData("no cell is done")
        return int(counts.idxmax())

    def cells_of(self, labels: Iterable[str] = (), seed: int | None = None) -> pd.DataFrame:
        """Return the cells that are done, by default of all selected labels and seeds."""
        rows = self.done["label"].isin([*(labels or self.labels)])
        return self.done[rows if seed is None else rows & self.done["seed"].eq(seed)]

    # Files beside records

    def curves(self, cell_id: str) -> Curves:
        """Return the arrays beside a cell's record; empty if there are none or they are damaged."""
        self.asked.add((cell_id, "curves"))
        try:
            curves = self.results.curves(cell_id)
        except DamagedFile:
            return self._leave_out(cell_id, "curves")
        return defined(curves) if are_consistent(curves) else self._leave_out(cell_id, "curves")

    def history(self, cell_id: str) -> pd.DataFrame:
        """Return a cell's training by epoch; empty if there is none or it is damaged."""
        self.asked.add((cell_id, "history"))
        try:
            return self.results.history(cell_id)
        except (DamagedFile, ValueError):
            self._leave_out(cell_id, "history")
            return pd.DataFrame()

    @property
    def arrays_are_left_out(self) -> bool:
        """Whether none of the files that were asked for is there, since a copy was made without."""
        asked = [(self.results.record(cell) or {}, part) for cell, part in self.asked]
        return any(part in record.get("left_out", ()) for record, part in asked) and not any(
            record.get(part) for record, part in asked
        )

    def _leave_out(self, cell_id: str, part: str) -> Curves:
        self.damaged[getattr(self.results.holders[cell_id].paths(cell_id), part)] = cell_id
        return {}

    def curves_of_one_seed(self) -> dict[str, Curves]:
        """Return the arrays of the one seed that is shown, by label, where there are any."""
        cells = self.cells_of(seed=self.seed)
        found = {k: self.curves(i) for k, i in zip(cells["label"], cells["id"], strict=True)}
        return {label: found[label] for label in self.labels if found.get(label)}

    def array_of_seeds(self, name: str) -> dict[str, dict[int, np.ndarray]]:
        """Return an array of all seeds that have it, by label and seed."""
        arrays: dict[str, dict[int, np.ndarray]] = {}
        for row in self.done.sort_values(["label", "seed"]).itertuples():
            curves = self.curves(str(row.id))
            if name in curves:
                arrays.setdefault(str(row.label), {})[int(row.seed)] = curves[name]
        return arrays

    # Values

    def values(self, metric: MetricInfo | str) -> pd.DataFrame:
        """Return the finite values of the selected cells; see `Results.values`. It may be empty."""
        table = self.results.values(metric, optional=True)
        return table[table["id"].isin(self.planned["id"]) & np.isfinite(table["value"])]

    def printed_values(self, metric: MetricInfo) -> tuple[MetricFormat, pd.DataFrame]:
        """Return a metric's format, and its finite values in the printed unit."""
        values = self.values(metric)
        shown = metric_format(metric, values["value"])
        return shown, values.assign(value=shown.convert(values["value"]))

    def metrics(self, default: Sequence[str] | Sequence[MetricInfo]) -> list[MetricInfo]:
        """Return the selected metrics, or those of the default, that have values here.

        Raises:
            UsageError: a selected metric is unknown.
            NoData: none has values here.
        """
        if self.options.metrics:
            metrics = [self.results.metric(name) for name in self.options.metrics]
        else:
            metrics = [metric for name in default if (metric := self.find_metric(name))]
        metrics = [metric for metric in metrics if len(self.values(metric))]
        if not metrics:
            names = self.options.metrics or [*map(str, default)]
            raise NoData(f"no cell has {' or '.join(names)}")
        return metrics

    def find_metric(self, metric: MetricInfo | str) -> MetricInfo | None:
        """Return a metric; None if no run has it."""
        try:
            return self.results.metric(metric) if isinstance(metric, str) else metric
        except UsageError:
            return None

    @cached_property
    def task(self) -> str:
        """`classification`, `regression` or, without a metric of either, empty."""
        described = self.results.manifest["metrics"].items()
        tasks = {name: entry["task"] for name, entry in described if entry["headline"]}
        of_tasks = (n for n, task in tasks.items() if task != "any" and len(self.values(n)))
        return str(tasks.get(next(of_tasks, ""), ""))

    @property
    def uncertainty_unit(self) -> str:
        """The unit of uncertainties: nats, or a squared target in regression."""
        return "y²" if self.task == "regression" else "nats"

    def possible_values(self, shown: MetricFormat) -> Limits:
        """Return the least and the largest value that a metric can have in the printed unit."""
        is_of_classes = shown.metric.name.startswith("nll") and self.task == "classification"
        return (0.0, math.inf) if is_of_classes else possible_values(shown)

    def printed_means(
        self, metric: MetricInfo, by: str | Sequence[str] = "label"
    ) -> tuple[MetricFormat, pd.DataFrame]:
        """Return a metric's format and `seed_means` of its printed values."""
        shown, values = self.printed_values(metric)
        return shown, seed_means(values, by, self.possible_values(shown))

    def best_student(
        self, means: pd.DataFrame, better: str, detection: TeacherDetection | None = None
    ) -> str:
        """Return the student with the best mean, of those with the most seeds.

        Empty without a direction or a second student, and if the teacher detects worse than chance.

        Args:
            means: `mean` and `n` by label; see `seed_means`.
            better: direction of the metric.
            detection: of the teacher; see `below_chance`.
        """
        is_below = detection is not None and detection.is_below_chance
        ranked = rank_students(means, better, self.results.references, is_below)
        return ranked[0] if len(ranked) > 1 else ""

    def below_chance(self, metrics: Iterable[MetricInfo]) -> dict[MetricInfo, TeacherDetection]:
        """Return the metrics in which the teacher detects worse than chance: none is best."""
        found = {m: teacher_detections(self.results, m).get(self.dataset) for m in metrics}
        return {metric: d for metric, d in found.items() if d and d.is_below_chance}

    # Legend and note

    def legend(self, labels: Iterable[str], line: bool = True) -> list[tuple[Artist, str]]:
        """Return the entries of labels in a legend, with or without a line through the marker."""
        return [(self.styles[label].handle(line), label) for label in labels]

    def note(
        self,
        text: str,
        counts: Mapping[str, int],
        labels: Sequence[str] = (),
        metrics: Iterable[MetricInfo] = (),
    ) -> str:
        """Return the note of a figure over seeds.

        Args:
            text: what is shown.
            counts: number of seeds of each label that is shown.
            labels: labels whose missing cells are listed; by default all selected ones.
            metrics: what is shown; their values that are not finite are listed.
        """
        numbers = pd.Series(dict(counts), dtype=int)
        usual = int(numbers.mode().max()) if len(numbers) else 0
        exceptions = [f"{label} n = {n}" for label, n in counts.items() if n != usual]
        missing = self._missing(counts, labels or self.labels, self.options.seed, metrics)
        subject = f"{self.dataset}: " if self.dataset else ""
        start = f"{subject}{text}; n = {counted(usual, 'seed')}"
        return ". ".join([start, *exceptions, *missing]) + "."

    def note_of_one_seed(self, text: str, shown: Iterable[str]) -> str:
        """Return the note of a figure that shows one seed of these labels."""
        missing = self._missing([*shown], self.labels, self.seed)
        return ". ".join([f"{self.dataset}: {text}; seed {self.seed}", *missing]) + "."

    def _missing(
        self,
        shown: Iterable[str],
        labels: Sequence[str],
        seed: int | None,
        metrics: Iterable[MetricInfo] = (),
    ) -> list[str]:
        """Return each reason with the labels whose cells or values are missing for it."""
        shown = frozenset(shown)
        status = self.planned["status"].astype(str)
        reasons = status.mask(self.planned["id"].isin(self.damaged.values()), "damaged")
        not_finite = [self._not_finite(metric) for metric in metrics]
        cells = pd.concat([self.planned.assign(reason=reasons), *not_finite])
        if seed is not None:
            cells = cells[cells["seed"].eq(seed)]
        cells = cells[cells["reason"].ne("done")]
        labels_by_reason: dict[str, list[str]] = {}
        for label in labels:
            of_label = cells[cells["label"].eq(label)]
            kinds = set(of_label["reason"])
            why = describe_seeds(of_label) if kinds else "no data"
            if label not in shown and len(kinds - {"damaged"}) == len(kinds) == 1:
                why = kinds.pop()
            if label not in shown or len(of_label):
                labels_by_reason.setdefault(why, []).append(label)
        return [f"{reason}: {', '.join(names)}" for reason, names in labels_by_reason.items()]

    def _not_finite(self, metric: MetricInfo) -> pd.DataFrame:
        """Return the selected cells whose value is nan or inf, with the `reason`."""
        table = self.results.values(metric, optional=True)
        table = table[table["id"].isin(self.planned["id"]) & ~np.isfinite(table["value"])]
        name = metric_format(metric).name
        return table.assign(reason=[f"{name} {value}" for value in table["value"]])


def seed_means(
    values: pd.DataFrame, by: str | Sequence[str] = "label", possible: Limits = ANY
) -> pd.DataFrame:
    """Return means over seeds with 95 % t intervals: `mean`, `low`, `high`, `n`.

    Args:
        values: finite values, see `FigureData.values`.
        by: the columns to group by; the result is indexed by them, in order.
        possible: the values that the metric can have; intervals end there.
    """
    groups = values.groupby(by if isinstance(by, str) else [*by], observed=True)["value"]
    table = groups.agg(["mean", "std", "size"]).rename(columns={"size": "n"})
    half = stdtrit(table["n"] - 1, 0.975) * table["std"] / np.sqrt(table["n"])
    table = table.assign(low=table["mean"] - half, high=table["mean"] + half)
    table[["low", "high"]] = table[["low", "high"]].clip(*possible)
    return table[["mean", "low", "high", "n"]]


def describe_intervals(counts: Mapping[str, int], *additions: str) -> str:
    """Return what means and intervals are over, for a note, and what else is to be said."""
    several = max(counts.values(), default=0) > 1
    text = "mean and 95 % t interval over seeds" if several else "a single seed has no interval"
    return "; ".join(filter(None, [text, *additions]))


def describe_below_chance(below_chance: Mapping[MetricInfo, TeacherDetection]) -> str:
    """Return why metrics are grey, since the teacher is worse than chance; empty if none are."""
    if not below_chance:
        return ""
    reasons = dict.fromkeys(detection.reason for detection in below_chance.values())
    names = ", ".join(metric_format(metric).name for metric in below_chance)
    return f"grey, and none is best: {names}, where {' and '.join(reasons)}"


def with_unit(shown: MetricFormat, value: float) -> str:
    """Return the text of a value in the printed unit with its unit: `2.000 nats`."""
    return f"{shown.text(value)} {shown.unit}".rstrip()
