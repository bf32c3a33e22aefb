"""The figures of one run or several, read together: what every table and figure starts from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from distillation_bench.bench.common.errors import UsageError, nearest
from distillation_bench.bench.storage import tables as derived
from distillation_bench.bench.storage.formats.schema import LATENCY, RESULT_COLUMNS
from distillation_bench.bench.storage.formats.table_files import metric_value
from distillation_bench.bench.storage.joined_runs import join_runs
from distillation_bench.bench.storage.protocol import ProtocolClash
from distillation_bench.bench.storage.run_folder import DamagedFile, Record, Run, cell_status
from distillation_bench.bench.storage.tables import CellKey, cell_key

Place = tuple[str, ...]
"""A figure's place in a cell: set, shift, severity, metric, score, as text."""


@dataclass(frozen=True)
class MetricInfo:
    """One figure of a cell, as `NAME[:SCORE][@SET]` on the command line.

    Attributes:
        name, score: as in metrics.csv; the score is empty but for OOD figures.
        set, shift, severity: the evaluation set, e.g. "test", "rotation", 3.
        better: "higher", "lower" or empty.
        headline: whether it is a column of results.csv.
    """

    name: str
    score: str
    set: str
    shift: str
    severity: int
    better: str
    headline: bool

    def __str__(self) -> str:
        score = f":{self.score}" if self.score else ""
        if self.headline:
            return self.name
        where = f"{self.shift}/{self.severity}" if self.shift else self.set
        return f"{self.name}{score}@{where}"


class CellFacts(NamedTuple):
    """What a record says beside its figures.

    Attributes:
        status: `done`, `failed` or `skipped`.
        reason, finished, commit, environment: as in the record.
        has_history, has_curves: whether there have to be these files beside it.
        latency: seconds of an example alone; 0 where another cell of the variant measured it.
    """

    status: str
    reason: str
    finished: str
    commit: str
    environment: Mapping[str, Any]
    has_history: bool
    has_curves: bool
    latency: float


@dataclass(frozen=True)
class Results:
    """What runs hold.

    Attributes:
        runs: their folders.
        manifest: the description of all of them together.
        rows: of results.csv, each figure as text.
        holders: by cell's id, the run that has its record.
    """

    runs: tuple[Run, ...]
    manifest: Mapping[str, Any]
    rows: tuple[Mapping[str, str], ...]
    holders: Mapping[str, Run]

    @cached_property
    def cells(self) -> dict[CellKey, Mapping[str, Any]]:
        """What was asked for, by place, in the order of tables: dataset, method, label, seed."""
        order = table_order(self.manifest)
        described = ({**cell, "id": name} for name, cell in self.manifest["cells"].items())
        return {
            cell_key(cell): cell
            for cell in sorted(
                described, key=lambda cell: (cell["dataset"], order[cell["label"]], cell["seed"])
            )
        }

    @cached_property
    def statuses(self) -> dict[CellKey, str]:
        """Return the status of each cell that was asked for."""
        return derived.statuses(self.manifest["cells"].values(), self.rows)

    @property
    def datasets(self) -> list[str]:
        """In order of name."""
        return list(dict.fromkeys(dataset for dataset, _, _ in self.cells))

    def labels(self, dataset: str | None = None) -> list[str]:
        """Of a dataset's variants, or of all, in the order of tables."""
        found = {label for name, label, _ in self.cells if dataset in (None, name)}
        return sorted(found, key=table_order(self.manifest).__getitem__)

    def select_datasets(
        self, names: Sequence[str], option: str = "--dataset", where: str = "these runs"
    ) -> list[str]:
        """Datasets by name, each once, in the order given; without a name all.

        Args:
            names: none: all.
            option, where: what an error says before and behind an unknown name.

        Raises:
            UsageError: a name is unknown.
        """
        for name in names:
            if name not in self.datasets:
                near = nearest(name, self.datasets)
                raise UsageError(f"{option} {name}: not in {where}{near}")
        return list(dict.fromkeys(names or self.datasets))

    def select_labels(
        self,
        names: Sequence[str],
        dataset: str | None = None,
        option: str = "--method",
        where: str = "these runs",
    ) -> list[str]:
        """What names stand for, in their order: a label, or a method, which is all its variants.

        Args:
            names: none: all labels.
            dataset: only its labels.
            option, where: what an error says before and behind an unknown name.

        Raises:
            UsageError: a name is neither.
        """
        known = self.labels(dataset)
        methods: dict[str, list[str]] = {}
        for label in known:
            methods.setdefault(self.methods[label], []).append(label)
        stands_for = methods | {label: [label] for label in known}
        for name in names:
            if name not in stands_for:
                raise UsageError(f"{option} {name}: not in {where}{nearest(name, stands_for)}")
        return list(dict.fromkeys(each for name in names or known for each in stands_for[name]))

    def seeds(self, dataset: str, label: str) -> list[int]:
        """That were asked for, ascending."""
        return [seed for name, each, seed in self.cells if (name, each) == (dataset, label)]

    @cached_property
    def methods(self) -> dict[str, str]:
        """By label, the method whose variant it is."""
        return {label: cell["method"] for (_, label, _), cell in self.cells.items()}

    @cached_property
    def references(self) -> frozenset[str]:
        """Labels that are no students: bounds to compare with, no rivals."""
        return references_of(self.manifest)

    @cached_property
    def costs(self) -> list[str]:
        """Columns of results.csv that are no metrics."""
        columns = {column for row in self.rows for column in row}
        return sorted(columns - {*self.manifest["metrics"], *RESULT_COLUMNS})

    def record(self, slot: CellKey) -> Record | None:
        """The whole record of a cell."""
        cell_id = self.cells[slot]["id"]
        return self.holders[cell_id].record(cell_id)

    @cached_property
    def facts(self) -> dict[CellKey, CellFacts]:
        """Of each cell that has a record: all of them are read, once."""
        records = ((slot, self.record(slot)) for slot in self.cells)
        return {slot: _told(record) for slot, record in records if record is not None}

    def metric(self, text: str) -> MetricInfo:
        """Parse `NAME[:SCORE][@SET]`; SET is `test`, `SHIFT/SEVERITY`, `ood`, `ood:NAME`, `cost`.

        Raises:
            UsageError: no run has such a figure.
        """
        names, _, where = text.partition("@")
        name, _, score = names.partition(":")
        known = self.manifest["metrics"]
        if name == "error" and "accuracy" in known:
            raise UsageError("--metric error: give accuracy, of which tables print the error")
        if name not in known and name not in self.costs:
            raise UsageError(f"{name}: unknown metric{nearest(name, [*known, *self.costs])}")
        described = known.get(name, {"better": "lower", "headline": True})
        ood = name.startswith("ood_")
        if not where and not score and described["headline"]:
            return MetricInfo(name, "", "", "", 0, described["better"], headline=True)
        place, _, severity = where.partition("/")
        if severity:
            if not severity.isdecimal():
                raise UsageError(f"{text}: {severity!r}: a severity is a whole number")
            where_is = ("test", place, int(severity))
        else:
            where_is = (place or ("ood" if ood else "test"), "", 0)
        score = score or ("total" if ood else "")
        return MetricInfo(name, score, *where_is, described["better"], headline=False)

    def values(self, metric: MetricInfo) -> dict[CellKey, float]:
        """A metric's value by cell, where the cell is `done` and has it; nan and inf as they are.

        Raises:
            UsageError: no cell has it.
        """
        return self.values_of([metric])[metric]

    def values_of(
        self, metrics: Sequence[MetricInfo], optional: Iterable[MetricInfo] = ()
    ) -> dict[MetricInfo, dict[CellKey, float]]:
        """The same of several at once: the long table is read only once.

        Args:
            metrics: that some cell has to have.
            optional: that none need have: empty then.

        Raises:
            UsageError: no cell has one of them.
        """
        found: dict[MetricInfo, dict[CellKey, float]] = {}
        asked = dict.fromkeys([*metrics, *optional])
        for metric in asked:
            if metric.headline:
                found[metric] = {
                    cell_key(row): float(row[metric.name])
                    for row in self.rows
                    if row["status"] == "done" and row.get(metric.name)
                }
        rest = {_place(metric): metric for metric in asked if not metric.headline}
        if rest:
            found |= {metric: {} for metric in rest.values()}
            for slot, place, value in self.long_table(rest.__contains__):
                found[rest[place]][slot] = value
        for metric in metrics:
            if not found[metric]:
                raise UsageError(f"{metric}: no cell has this figure{self._instead(metric)}")
        return found

    def _instead(self, metric: MetricInfo) -> str:
        """The nearest of a metric's figures; if no cell has one of them, the task that has."""
        there = self.long_table(lambda place: place[3] == metric.name)
        if places := {place for _, place, _ in there}:
            return nearest(str(metric), map(_selector, places))
        task = self.manifest["metrics"].get(metric.name, {}).get("task", "any")
        return "" if task == "any" else f" (a metric of {task})"

    def long_table(self, wanted: Callable[[Place], bool]) -> Iterator[tuple[CellKey, Place, float]]:
        """Figures of `done` cells from metrics.csv, at the places that are wanted."""
        for run in self.runs:
            # In the folder a marked label is still without its mark.
            asked = run.manifest()["cells"].items()
            held = {
                cell_key(cell): cell_key(self.manifest["cells"][cell_id])
                for cell_id, cell in asked
                if self.holders[cell_id] is run
            }
            for row in derived.metrics(run):
                place = tuple(row[4:9])
                if not wanted(place):
                    continue
                dataset, _, label, seed = row[:4]
                try:
                    slot, value = held.get((dataset, label, int(seed))), metric_value(row)
                except ValueError:
                    raise DamagedFile(run.folder / "metrics.csv", "no figures") from None
                if slot is not None:
                    yield slot, place, value


def _told(record: Record) -> CellFacts:
    return CellFacts(
        status=cell_status(record).status,
        reason=record["reason"],
        finished=record["finished"],
        commit=record["commit"],
        environment=record["environment"],
        has_history=record.get("history") != "",
        has_curves=bool(record["curves"]),
        latency=float(record["timings"].get(LATENCY, 0.0)),
    )


def _place(metric: MetricInfo) -> Place:
    return metric.set, metric.shift, str(metric.severity), metric.name, metric.score


def _selector(place: Place) -> str:
    name, shift, severity, metric, score = place
    return str(MetricInfo(metric, score, name, shift, int(severity or 0), "", headline=False))


def table_order(manifest: Mapping[str, Any]) -> dict[str, tuple[int, str]]:
    """By label, what sorts it in tables: the place of its method in the registry, then itself."""
    places = {each["name"]: place for place, each in enumerate(manifest["methods"])}
    return {
        cell["label"]: (places.get(cell["method"], len(places)), cell["label"])
        for cell in manifest["cells"].values()
    }


def references_of(manifest: Mapping[str, Any]) -> frozenset[str]:
    """Labels whose method is a reference."""
    names = {each["name"] for each in manifest["methods"] if each["reference"]}
    return frozenset(c["label"] for c in manifest["cells"].values() if c["method"] in names)


def read(folders: Sequence[Path], mixed: bool = False, agree: bool = True) -> Results:
    """Read runs as one; a cell that several of them hold counts once, the first that is `done`.

    Args:
        folders: of the runs.
        mixed: take rows that were made under another protocol (recipe, teacher, sets, code that
            measures) than the first ones of their dataset, or with another method, parameters or
            code than the first ones of their label, too, with a mark behind their labels.
        agree: demand that cells which several runs hold have the same figures in all of them.

    Raises:
        UsageError: a folder is no run, unreadable or without figures, protocols differ, a label
            stands for more than one thing, or the figures of one cell differ.
    """
    runs = tuple(Run(folder) for folder in dict.fromkeys(folders))
    try:
        joined = join_runs(runs, mixed, agree)
    except ProtocolClash as clash:
        raise UsageError(f"{clash}; --mixed takes both, marked") from None
    return Results(runs, joined.manifest, tuple(joined.rows.values()), joined.holders)
