"""What a figure of one dataset is drawn from, as far as it was chosen."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np
from matplotlib.figure import Figure

from distillation_bench.bench.analysis.below_chance import Standing, detectors, standings
from distillation_bench.bench.analysis.metric_formats import Quantity, quantity
from distillation_bench.bench.analysis.results import Metric, Slot
from distillation_bench.bench.analysis.statistics import Interval, paired_interval
from distillation_bench.bench.analysis.tables.leaderboard import best_first, summarise
from distillation_bench.bench.common.errors import UsageError, nearest
from distillation_bench.bench.figures.panels import NoData as NoData
from distillation_bench.bench.figures.request import Drawn, Material
from distillation_bench.bench.metrics.uncertainties import UNCERTAINTIES
from distillation_bench.bench.storage.run_folder import DamagedFile, Record

Curves = Mapping[str, np.ndarray]
ByLabel = Mapping[str, Mapping[int, float]]
"""By label and seed."""


class View:
    """One dataset of what was chosen."""

    def __init__(self, material: Material, dataset: str) -> None:
        self.material = material
        self.results = material.results
        self.options = material.options
        self.look = material.look
        self.dataset = dataset
        asked = set(self.results.labels(dataset))
        self.labels = [label for label in material.labels if label in asked]
        self._damaged: set[Slot] = set()

    def seeds(self, label: str) -> list[int]:
        """Of cells that are `done`, ascending."""
        wanted = self.options.seed
        return [
            seed
            for seed in self.results.seeds(self.dataset, label)
            if self.results.statuses.get((self.dataset, label, seed)) == "done"
            and wanted in (None, seed)
        ]

    @cached_property
    def seed(self) -> int:
        """Of figures that show one: the first that most labels have."""
        counts = Counter(seed for label in self.labels for seed in self.seeds(label))
        if not counts:
            raise NoData("no cell is finished well")
        return max(sorted(counts), key=lambda seed: counts[seed])

    def record(self, label: str, seed: int) -> Record:
        """A cell's record; empty if it is damaged."""
        return self.results.record((self.dataset, label, seed)) or {}

    def slot(self, label: str, seed: int) -> Slot:
        """A cell's place."""
        return self.dataset, label, seed

    def curves(self, label: str, seed: int) -> Curves:
        """The arrays beside a cell's record; empty if none can be used."""
        slot = self.slot(label, seed)
        told = self.results.told.get(slot)
        if told is None or told.status != "done" or not told.has_curves:
            return {}
        run = self.results.holders[self.results.cells[slot]["id"]]
        curves = run.curves(self.record(label, seed))
        return curves if curves and fit_together(curves) else self.leave_out(slot, "curves")

    def leave_out(self, slot: Slot, part: str) -> dict[str, np.ndarray]:
        """Note that a part of a cell is missing or damaged: there is nothing to draw of it."""
        cell_id = self.results.cells[slot]["id"]
        files = self.results.holders[cell_id].files(cell_id)
        path = files.curves if part == "curves" else files.history
        self.material.damaged[path] = slot
        self._damaged.add(slot)
        return {}

    def of_seed(self, needs: str) -> dict[str, Curves]:
        """The curves of the one seed, by label, of those that have what is needed."""
        found = {label: self.curves(label, self.seed) for label in self.labels}
        return {label: curves for label, curves in found.items() if needs in curves}

    def of_seeds(self, needs: str) -> dict[str, dict[int, Curves]]:
        """Of every seed, by label, the curves of those that have what is needed."""
        found: dict[str, dict[int, Curves]] = {}
        for label in self.labels:
            for seed in self.seeds(label):
                curves = self.curves(label, seed)
                if needs in curves:
                    found.setdefault(label, {})[seed] = {needs: curves[needs]}
        return found

    @cached_property
    def unit(self) -> str:
        """Of uncertainty: nats of classes; in regression it is a variance."""
        regression = any(
            each["task"] == "regression" and self.finite(self.results.metric(name))
            for name, each in self.results.manifest["metrics"].items()
            if each.get("task") and each["headline"]
        )
        return "y²" if regression else "nats"

    def history(self, label: str, seed: int) -> list[dict[str, str]]:
        """A cell's training, a row an epoch; empty if none can be used."""
        slot = self.slot(label, seed)
        told = self.results.told.get(slot)
        if told is None or not told.has_history:
            return []
        run = self.results.holders[self.results.cells[slot]["id"]]
        try:
            return run.history(self.record(label, seed))
        except DamagedFile:
            self.leave_out(slot, "history")
            return []

    # Figures

    def metrics(self, default: Sequence[str]) -> list[Metric]:
        """Those asked for, or of the default those that the dataset has.

        Raises:
            UsageError: one that was asked for is unknown.
            NoData: none has figures here.
        """
        asked = self.options.metrics
        names = asked or default
        found = [metric for name in names if (metric := self.known(name, bool(asked)))]
        found = [metric for metric in found if self.finite(metric)]
        if not found:
            raise NoData(f"no cell has {' or '.join(asked or default)}")
        return found

    def known(self, name: str, asked: bool = False) -> Metric | None:
        """A metric, or None if no cell of any dataset has it and it wasn't asked for."""
        try:
            return self.results.metric(name)
        except UsageError:
            if asked:
                raise
            return None

    def one_metric(self, name: str) -> Metric:
        """The same of one.

        Raises:
            UsageError: it is unknown.
            NoData: it has no figures here.
        """
        metric = self.results.metric(name)
        if not self.finite(metric):
            raise NoData(f"no cell has {name}")
        return metric

    @property
    def headlines(self) -> list[str]:
        """Metrics of the leaderboard, in order of name."""
        described = self.results.manifest["metrics"]
        return [name for name, each in described.items() if each["headline"]]

    def finite(self, metric: Metric) -> ByLabel:
        """A metric's finite figures, by label and seed; labels without any are left out."""
        return self.of_cells(self.material.values(metric))

    def of_cells(self, values: Mapping[Slot, float]) -> ByLabel:
        """Figures by cell of any dataset, those of this one."""
        found: dict[str, dict[int, float]] = {}
        for label in self.labels:
            for seed in self.seeds(label):
                value = values.get((self.dataset, label, seed), math.nan)
                if math.isfinite(value):
                    found.setdefault(label, {})[seed] = value
        return found

    def quantity(self, metric: Metric) -> tuple[Quantity, ByLabel]:
        """How a metric is printed, and its figures so."""
        found = self.finite(metric)
        every = [value for values in found.values() for value in values.values()]
        how = quantity(metric, every)
        return how, {
            label: {seed: how.of(value) for seed, value in values.items()}
            for label, values in found.items()
        }

    def best(self, found: ByLabel, better: str, standing: Standing | None = None) -> str:
        """The student with the best mean, of those with the most seeds; empty without rivals.

        Empty, too, where the teacher itself stands worse than chance.
        """
        students = {k: v for k, v in found.items() if k not in self.results.references}
        ranked = best_first({k: summarise([*v.values()]) for k, v in students.items()}, better)
        of_chance = standing is not None and standing.is_worse_than_chance
        return ranked[0] if better and not of_chance and len(ranked) > 1 else ""

    def standing(self, metric: Metric) -> Standing | None:
        """How the teacher itself does in what a metric detects; None if it detects nothing."""
        figures = {judge: self.material.values(judge) for judge in detectors([metric]).values()}
        return standings(self.results, [metric], figures).get((self.dataset, metric))

    def of_chance(self, metrics: Iterable[Metric]) -> dict[Metric, Standing]:
        """Metrics in which nothing is best, since the teacher itself detects worse than chance."""
        found = {metric: self.standing(metric) for metric in metrics}
        return {k: each for k, each in found.items() if each and each.is_worse_than_chance}

    # Words

    def drawn(self, kind: str, title: str, alt: str, figure: Figure, part: str = "") -> Drawn:
        """A finished figure of this dataset; `part` tells several of a kind apart."""
        return Drawn(file_name(kind, self.dataset, part), title, alt, figure)

    def note(self, what: str, counts: Mapping[str, int], of: Sequence[str] = ()) -> str:
        """Below a figure: the dataset, what is shown, n, and every cell (of labels) not in it."""
        usual = Counter(counts.values()).most_common(1)[0][0] if counts else 0
        parts = [f"{self.dataset}: {what}", f"n = {usual} {_plural('seed', usual)}"]
        different = [f"{label} n = {n}" for label, n in counts.items() if n != usual]
        return ". ".join(["; ".join(parts), *different, *self.gaps(counts, of=of)]) + "."

    def note_of_seed(self, what: str, shown: Iterable[str]) -> str:
        """The same of a figure of one seed."""
        missing = self.gaps(dict.fromkeys(shown, 1), only=self.seed)
        return ". ".join([f"{self.dataset}: {what}; seed {self.seed}", *missing]) + "."

    def gaps(
        self, shown: Mapping[str, int], only: int | None = None, of: Sequence[str] = ()
    ) -> list[str]:
        """Cells that are not in a figure, in words, equal ones together."""
        found: dict[str, list[str]] = {}
        for label in of or self.labels:
            statuses: dict[str, list[int]] = {}
            for seed in self.results.seeds(self.dataset, label):
                slot = self.slot(label, seed)
                status = self.results.statuses.get(slot, "missing")
                if slot in self._damaged:
                    status = "damaged"
                wanted = self.options.seed if only is None else only
                if wanted in (None, seed) and status != "done":
                    statuses.setdefault(status, []).append(seed)
            reason = ", ".join(f"{status} ({_seeds(seeds)})" for status, seeds in statuses.items())
            if label not in shown and len(statuses) == 1 and "damaged" not in statuses:
                reason = next(iter(statuses))
            elif label not in shown and not statuses:
                reason = "no data"
            if reason:
                found.setdefault(reason, []).append(label)
        return [f"{reason}: {', '.join(labels)}" for reason, labels in found.items()]


def file_name(*parts: str) -> str:
    """A file's name that is safe, of a kind of figure and what it is of."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", "-".join(filter(None, parts))).strip("._")


def interval(values: Mapping[int, float]) -> Interval:
    """Mean over seeds with its 95 % t interval; nan limits of a single one."""
    return paired_interval(list(values.values()))


def fit_together(curves: Curves) -> bool:
    """Whether arrays, each of a shape that it may have, can be drawn with each other."""
    if not all(np.isfinite(a).all() for k, a in curves.items() if not k.startswith("reliability/")):
        return False
    for name, array in curves.items():
        kind, _, what = name.partition("/")
        if kind == "histogram" and not np.all(curves.get(f"upper/{what}", 0) > 0):
            return False
        if kind == "fidelity" and not array.size:
            return False
    if not any(name.startswith("canvas/") for name in curves):
        return True
    if any(f"{kind}/{each}" not in curves for kind in ("canvas", "train") for each in "xy"):
        return False
    if any(f"canvas/{name}" not in curves for name in UNCERTAINTIES):
        return False
    points = {kind: curves[f"{kind}/x"] for kind in ("canvas", "train")}
    if points["canvas"].shape[1] != points["train"].shape[1] or not points["canvas"].size:
        return False
    return all(
        len(array) == len(points[name.partition("/")[0]])
        for name, array in curves.items()
        if name.partition("/")[0] in points
    )


def range_of(how: Quantity) -> tuple[float, float] | None:
    """What a quantity can't leave, as printed; None where there are no two bounds."""
    if how.unit == "%":
        return 0.0, 100.0
    return _RANGES.get(how.metric.name)


_RANGES = {
    "brier": (0.0, 2.0),
    "aurc": (0.0, 1.0),
    "teacher_spearman": (-1.0, 1.0),
    "teacher_tv_total": (0.0, 1.0),
    "teacher_tv_aleatoric": (0.0, 1.0),
    "teacher_tv_epistemic": (0.0, 1.0),
} | dict.fromkeys(
    # Shares that are drawn as recorded.
    ("accuracy", "ece", "ood_auroc"),
    (0.0, 1.0),
)


def figures_on(record: Record, key: str) -> dict[str, float]:
    """A record's figures on a set, called as curves call it."""
    for each in record.get("sets", ()):
        shift = f"/{each['shift']}/{each['severity']}" if each["shift"] else ""
        if f"{each['set']}{shift}" == key:
            return {name: float(value) for name, value in each["values"].items()}
    return {}


def sets_of(view: View, every: Mapping[str, Curves], prefix: str) -> list[str]:
    """The sets asked for, else the test set and the first of OOD inputs.

    Raises:
        NoData: one that was asked for is not there.
    """
    there = {
        key.removeprefix(prefix) for c in every.values() for key in c if key.startswith(prefix)
    }
    asked = [curve_key(each) for each in view.options.sets]
    for each in asked:
        if each not in there:
            raise NoData(f"no set {each}{nearest(each, there)}")
    usual = ["test", *sorted(each for each in there if each.startswith("ood:"))][:2]
    return asked or [each for each in usual if each in there]


def over_seeds(counts: Mapping[str, int], more: str = "") -> str:
    """What is drawn of seeds, for a note."""
    what = "mean and 95 % t interval over seeds (arrow: it goes on)"
    if max(counts.values(), default=0) < 2:
        what = "a single seed has no interval"
    return f"{what}; {more}" if more else what


def chance_words(of_chance: Mapping[Metric, Standing]) -> str:
    """What is said of metrics in which nothing is best, at the beginning of a note's sentence."""
    reasons = dict.fromkeys(each.reason for each in of_chance.values())
    names = ", ".join(quantity(metric, ()).name for metric in of_chance)
    return f"grey, and none is best: {names}, where {' and '.join(reasons)}" if names else ""


def curve_key(selector: str) -> str:
    """A set as curves call it: `rotation/3` is `test/rotation/3`."""
    return f"test/{selector}" if "/" in selector and not selector.startswith("test/") else selector


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def _seeds(seeds: Sequence[int]) -> str:
    return f"{_plural('seed', len(seeds))} {', '.join(map(str, seeds))}"
