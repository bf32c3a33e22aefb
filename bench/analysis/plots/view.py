"""What a figure is drawn from: one dataset of results, or all, as far as it was chosen."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from matplotlib.figure import Figure

from bench.analysis.plots.look import Look
from bench.analysis.quantities import Quantity, quantity
from bench.analysis.results import Metric, Results, Slot
from bench.analysis.statistics import Interval, paired_interval
from bench.errors import UsageError, nearest
from bench.store import Record

Curves = Mapping[str, np.ndarray]
ByLabel = Mapping[str, Mapping[int, float]]
"""By label and seed."""


class NoData(Exception):
    """Why there is no figure, in a few words."""


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
        name: of its file, without the ending; safe and unique in a run.
        title: in words.
        alt: what there is to see, for those who can't.
        figure: matplotlib's.
    """

    name: str
    title: str
    alt: str
    figure: Figure


@dataclass
class Material:
    """What all figures of results share."""

    results: Results
    options: Options
    look: Look
    figures: dict[Metric, Mapping[Slot, float]] = field(default_factory=dict)
    shifts: dict[str, Mapping[tuple[str, int], Mapping[Slot, float]]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)

    @cached_property
    def labels(self) -> list[str]:
        """That were chosen, in the order of tables.

        Raises:
            UsageError: a name is unknown.
        """
        known = self.results.labels()
        wanted: set[str] = set()
        for name in self.options.labels:
            found = [name] if name in known else []
            found = found or [each for each in known if self.results.method(each) == name]
            if not found:
                raise UsageError(f"method {name}: not in the run{nearest(name, known)}")
            wanted.update(found)
        return [label for label in known if label in wanted or not wanted]

    @cached_property
    def datasets(self) -> list[str]:
        """That were chosen.

        Raises:
            UsageError: a name is unknown.
        """
        known = self.results.datasets
        for name in self.options.datasets:
            if name not in known:
                raise UsageError(f"dataset {name}: not in the run{nearest(name, known)}")
        return [
            name for name in known if name in self.options.datasets or not self.options.datasets
        ]

    def values(self, metric: Metric) -> Mapping[Slot, float]:
        """A metric's figures by cell; empty if no cell has it."""
        if metric not in self.figures:
            try:
                self.figures[metric] = self.results.figures(metric)
            except UsageError:
                self.figures[metric] = {}
        return self.figures[metric]

    def name(self, *parts: str) -> str:
        """A file's name that is safe, and that no figure has yet."""
        plain = re.sub(r"[^A-Za-z0-9.+-]+", "_", "-".join(filter(None, parts))).strip("._")
        name, number = plain, 1
        while name.lower() in self.names:
            number += 1
            name = f"{plain}-{number}"
        self.names.add(name.lower())
        return name

    def shifted(self, name: str) -> Mapping[tuple[str, int], Mapping[Slot, float]]:
        """A metric's figures on shifted test sets, by shift and severity: the long table once."""
        if name not in self.shifts:
            found: dict[tuple[str, int], dict[Slot, float]] = {}
            for slot, (_, kind, severity, metric, _), value in self.results.long():
                if kind and metric == name:
                    found.setdefault((kind, int(severity)), {})[slot] = value
            self.shifts[name] = found
        return self.shifts[name]

    @cached_property
    def latencies(self) -> dict[str, float]:
        """Seconds an example takes alone, by cell's id."""
        import csv

        found = {}
        for run in self.results.runs:
            try:
                with (run.folder / "timings.csv").open(newline="", encoding="utf-8") as lines:
                    for row in csv.DictReader(lines):
                        if row.get("latency_seconds_batch_1"):
                            found[row["cell"]] = float(row["latency_seconds_batch_1"])
            except (OSError, ValueError, KeyError):
                continue
        return found


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

    def seeds(self, label: str) -> list[int]:
        """Of cells that are `ok`, ascending."""
        wanted = self.options.seed
        return [
            seed
            for seed in self.results.seeds(self.dataset, label)
            if self.results.states.get((self.dataset, label, seed)) == "ok"
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

    def curves(self, label: str, seed: int) -> Curves:
        """The arrays beside a cell's record (bench/curves.py); empty if there are none."""
        slot = self.dataset, label, seed
        if self.results.states.get(slot) != "ok":
            return {}
        cell_id = self.results.cells[slot]["id"]
        run = self.results.holders[cell_id]
        # A stat is cheap, reading ten thousand records is not.
        if not run.files(cell_id).curves.exists():
            return {}
        record = run.record(cell_id)
        return run.curves(record) if record else {}

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
        """A cell's training, a row an epoch."""
        cell_id = self.results.cells[self.dataset, label, seed]["id"]
        return self.results.holders[cell_id].history(cell_id)

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

    def best(self, means: Mapping[str, float], better: str) -> str:
        """The student with the best mean; empty if there is no rivalry."""
        students = {k: v for k, v in means.items() if k not in self.results.references}
        if len(students) < 2 or not better:
            return ""
        pick: Callable[..., str] = max if better == "higher" else min
        return pick(students, key=lambda label: students[label])

    # Words

    def drawn(self, kind: str, title: str, alt: str, figure: Figure, part: str = "") -> Drawn:
        """A finished figure of this dataset; `part` tells several of a kind apart."""
        return Drawn(self.material.name(kind, self.dataset, part), title, alt, figure)

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
            states: dict[str, list[int]] = {}
            for seed in self.results.seeds(self.dataset, label):
                state = self.results.states.get((self.dataset, label, seed), "not run")
                wanted = self.options.seed if only is None else only
                if wanted in (None, seed) and state != "ok":
                    states.setdefault(state, []).append(seed)
            reason = ", ".join(f"{state} ({_seeds(seeds)})" for state, seeds in states.items())
            if label not in shown and len(states) == 1:
                reason = next(iter(states))
            elif label not in shown and not states:
                reason = "no data"
            if reason:
                found.setdefault(reason, []).append(label)
        return [f"{reason}: {', '.join(labels)}" for reason, labels in found.items()]


def interval(values: Mapping[int, float]) -> Interval:
    """Mean over seeds with its 95 % t interval; nan limits of a single one."""
    return paired_interval(list(values.values()))


def figures_on(record: Record, key: str) -> dict[str, float]:
    """A record's figures on a set, called as curves call it."""
    for each in record.get("sets", ()):
        shift = f"/{each['shift']}/{each['severity']}" if each["shift"] else ""
        if f"{each['set']}{shift}" == key:
            return {name: float(value) for name, value in each["figures"].items()}
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
    what = "mean and 95 % t interval over seeds"
    if max(counts.values(), default=0) < 2:
        what = "a single seed has no interval"
    return f"{what}; {more}" if more else what


def curve_key(selector: str) -> str:
    """A set as curves call it: `rotation/3` is `test/rotation/3`."""
    return f"test/{selector}" if "/" in selector and not selector.startswith("test/") else selector


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def _seeds(seeds: Sequence[int]) -> str:
    return f"{_plural('seed', len(seeds))} {', '.join(map(str, seeds))}"
