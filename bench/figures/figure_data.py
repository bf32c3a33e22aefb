"""The selected results that a figure shows, and the note that says what they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from distillation_bench.bench.analysis.chance_level import teacher_detections
from distillation_bench.bench.analysis.metric_info import MetricInfo, metric_format
from distillation_bench.bench.analysis.missing_cells import describe_seeds
from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.common.errors import UsageError, nearest
from distillation_bench.bench.common.text import counted
from distillation_bench.bench.figures.registry import NoData
from distillation_bench.bench.figures.shown_metrics import (
    ShownMetric,
    describe_grey,
    possible_values,
    seed_means,
)
from distillation_bench.bench.figures.stored_arrays import Arrays, are_consistent, defined
from distillation_bench.bench.figures.style import LabelStyle
from distillation_bench.bench.storage.run_folder import DamagedFile


@dataclass(frozen=True)
class FigureOptions:
    """Which results are drawn, and how; empty options select all.

    Attributes:
        datasets: names of datasets.
        labels: labels of variants, or names of methods, which select all their variants.
        seed: a single seed. Figures that show one seed use by default the first one for which most
            variants have arrays.
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
        datasets = [self.dataset] if self.dataset else self.options.datasets
        rows = table["label"].isin(self.labels)
        if datasets:
            rows &= table["dataset"].isin(datasets)
        if self.options.seed is not None:
            rows &= table["seed"].eq(self.options.seed)
        return table[rows]

    @property
    def done(self) -> pd.DataFrame:
        """The selected rows of `Results.planned` whose cells are done."""
        return self.planned[self.planned["status"].eq("done")]

    @cached_property
    def of_one_seed(self) -> pd.DataFrame:
        """The cells that are done of the first seed for which most labels have arrays, or any cell.

        Raises:
            NoData: no cell is done.
        """
        if self.done.empty:
            raise NoData("no cell is done")
        has_arrays = [bool((self.results.record(i) or {}).get("curves")) for i in self.done["id"]]
        cells = self.done[has_arrays] if any(has_arrays) else self.done
        counts = cells["seed"].value_counts().sort_index()
        return self.done[self.done["seed"].eq(counts.idxmax())]

    @property
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

    # Arrays and histories beside records

    def arrays(self, cell_id: str) -> Arrays:
        """Return the arrays beside a cell's record; empty if there are none or they are damaged."""
        self.asked.add((cell_id, "curves"))
        try:
            arrays = self.results.curves(cell_id)
        except DamagedFile:
            return self._leave_out(cell_id, "curves")
        return defined(arrays) if are_consistent(arrays) else self._leave_out(cell_id, "curves")

    def history(self, cell_id: str) -> pd.DataFrame:
        """Return a cell's training by epoch; empty if there is none or it is damaged."""
        self.asked.add((cell_id, "history"))
        try:
            return self.results.history(cell_id)
        except (DamagedFile, ValueError):
            self._leave_out(cell_id, "history")
            return pd.DataFrame()

    def _leave_out(self, cell_id: str, part: str) -> Arrays:
        self.damaged[getattr(self.results.holders[cell_id].paths(cell_id), part)] = cell_id
        return {}

    @property
    def left_out(self) -> set[str]:
        """The ids of cells whose files were asked for, of which a copy was made without them."""
        return {
            cell_id
            for cell_id, part in self.asked
            if part in (self.results.record(cell_id) or {}).get("left_out", ())
        }

    @property
    def arrays_are_left_out(self) -> bool:
        """Whether files were asked for and are left out of the copies of all these cells."""
        asked = [(self.results.record(cell) or {}).get(part) for cell, part in self.asked]
        return bool(self.left_out) and not any(asked)

    def arrays_of_one_seed(self) -> dict[str, Arrays]:
        """Return the arrays of the one seed that is shown, by label, where there are any."""
        found = {row.label: self.arrays(row.id) for row in self.of_one_seed.itertuples()}
        return {label: found[label] for label in self.labels if found.get(label)}

    def arrays_of_seeds(self, name: str) -> pd.DataFrame:
        """Return the cells that are done and have an array of this name, with the `array`."""
        found = [self.arrays(cell_id).get(name) for cell_id in self.done["id"]]
        cells = self.done.assign(array=pd.Series(found, self.done.index, dtype=object))
        return cells[[array is not None for array in found]]

    def sets_with(self, prefix: str, arrays: Iterable[Arrays]) -> list[str]:
        """Return the selected evaluation sets, by default the test set and the first OOD set.

        Args:
            prefix: what the names of the needed arrays begin with, before the set.
            arrays: those of each label.

        Raises:
            NoData: no array of a selected set is stored.
        """
        stored = {n.removeprefix(prefix) for names in arrays for n in names if n.startswith(prefix)}
        for name in self.sets:
            if name not in stored:
                raise NoData(f"no set {name}{nearest(name, stored)}")
        default = ["test", *sorted(name for name in stored if name.startswith("ood:"))][:2]
        return self.sets or [name for name in default if name in stored]

    @property
    def sets(self) -> list[str]:
        """The selected sets as arrays name them: `rotation/3` is `test/rotation/3`."""
        names = (name.removeprefix("test/") for name in self.options.sets)
        return [f"test/{name}" if "/" in name else name for name in names]

    # Values

    def values(self, metric: MetricInfo | str, finite: bool = True) -> pd.DataFrame:
        """Return the values of the selected cells, see `Results.values`; there may be none."""
        table = self.results.values(metric, optional=True)
        is_shown = table["id"].isin(self.planned["id"])
        return table[is_shown & (np.isfinite(table["value"]) | (not finite))]

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

    def shown(
        self,
        metric: MetricInfo,
        values: pd.DataFrame | None = None,
        by: str | Sequence[str] = "label",
    ) -> ShownMetric:
        """Return a metric as a figure shows it.

        Args:
            metric: the metric.
            values: the recorded values; by default those of the selected cells.
            by: columns to group means by; see `seed_means`.
        """
        values = self.values(metric, finite=False) if values is None else values
        is_finite = np.isfinite(values["value"])
        finite = values[is_finite]
        shown = metric_format(metric, finite["value"])
        printed = finite.assign(value=shown.convert(finite["value"]))
        possible = possible_values(shown, self.task == "classification")
        reasons = [f"{shown.name} {value}" for value in values.loc[~is_finite, "value"]]
        detection = teacher_detections(self.results, metric).get(self.dataset)
        return ShownMetric(
            format=shown,
            values=printed,
            means=seed_means(printed, by, possible),
            possible=possible,
            not_finite=values[~is_finite].assign(reason=reasons),
            why_grey=detection.reason if detection and detection.is_below_chance else "",
            references=self.results.references,
        )

    # Legend and note

    def legend(self, labels: Iterable[str], line: bool = True) -> list[tuple[Artist, str]]:
        """Return the entries of labels in a legend, with or without a line through the marker."""
        return [(self.styles[label].handle(line), label) for label in labels]

    def note(
        self,
        counts: Mapping[str, int],
        *parts: str,
        shown: Sequence[ShownMetric] = (),
        labels: Sequence[str] = (),
    ) -> str:
        """Return the note of a figure over seeds.

        Args:
            counts: number of seeds of each label that is shown.
            *parts: what is shown; empty ones are left out.
            shown: the metrics that are shown: their intervals are explained, why they are grey is
                said, and values that are not finite are listed.
            labels: labels whose missing cells are listed; by default all selected ones.
        """
        numbers = pd.Series(dict(counts), dtype=int)
        usual = int(numbers.mode().max()) if len(numbers) else 0
        exceptions = [f"{label} n = {n}" for label, n in counts.items() if n != usual]
        missing = self._missing(counts, labels or self.labels, self.planned, shown)
        parts = (describe_intervals(counts), describe_grey(shown), *parts) if shown else parts
        text = "; ".join([*filter(None, parts), f"n = {counted(usual, 'seed')}"])
        subject = f"{self.dataset}: " if self.dataset else ""
        return ". ".join([f"{subject}{text}", *exceptions, *missing]) + "."

    def note_of_one_seed(self, text: str, shown: Iterable[str]) -> str:
        """Return the note of a figure that shows one seed of these labels."""
        seed = self.of_one_seed["seed"].iloc[0]
        missing = self._missing([*shown], self.labels, self.planned[self.planned["seed"].eq(seed)])
        return ". ".join([f"{self.dataset}: {text}; seed {seed}", *missing]) + "."

    def _missing(
        self,
        drawn: Iterable[str],
        labels: Sequence[str],
        planned: pd.DataFrame,
        shown: Iterable[ShownMetric] = (),
    ) -> list[str]:
        """Return each reason with the labels whose cells or values are missing for it."""
        drawn = frozenset(drawn)
        reasons = planned["status"].astype(str)
        reasons = reasons.mask(planned["id"].isin(self.damaged.values()), "damaged")
        absent = planned["id"].isin(self.left_out) & ~planned["label"].isin(drawn)
        reasons = reasons.mask(absent & reasons.eq("done"), "arrays left out of a copy")
        cells = pd.concat([planned.assign(reason=reasons), *(s.not_finite for s in shown)])
        cells = cells[cells["reason"].ne("done")]
        labels_by_reason: dict[str, list[str]] = {}
        for label in labels:
            of_label = cells[cells["label"].eq(label)].drop_duplicates(["seed", "reason"])
            kinds = set(of_label["reason"])
            why = describe_seeds(of_label) if kinds else "no data"
            if label not in drawn and len(kinds - {"damaged"}) == len(kinds) == 1:
                why = kinds.pop()
            if label not in drawn or len(of_label):
                labels_by_reason.setdefault(why, []).append(label)
        return [f"{reason}: {', '.join(names)}" for reason, names in labels_by_reason.items()]


def seed_counts(tables: Iterable[pd.DataFrame], labels: Iterable[str]) -> dict[str, int]:
    """Return the largest n of each label in tables of means, without those that are in none."""
    counts = pd.concat([table["n"] for table in tables]).groupby(level="label", observed=True).max()
    return {label: int(counts[label]) for label in labels if label in counts.index}


def describe_intervals(counts: Mapping[str, int]) -> str:
    """Return what means and intervals are over."""
    several = max(counts.values(), default=0) > 1
    return "mean and 95 % t interval over seeds" if several else "a single seed has no interval"
