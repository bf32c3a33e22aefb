"""The results of one run or several, read together: what every table and figure is made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from distillation_bench.bench.common.errors import UsageError, nearest
from distillation_bench.bench.storage import tables
from distillation_bench.bench.storage.formats.schema import LATENCY, RESULT_COLUMNS
from distillation_bench.bench.storage.formats.table_files import metric_value
from distillation_bench.bench.storage.joined_runs import join_runs
from distillation_bench.bench.storage.protocol import ProtocolClash
from distillation_bench.bench.storage.run_folder import DamagedFile, Record, Run, cell_status
from distillation_bench.bench.storage.tables import CellKey, cell_key

ValueKey = tuple[str, ...]
"""What identifies a value of a cell: set, shift, severity, metric, score, as text."""


@dataclass(frozen=True)
class MetricInfo:
    """A metric on an evaluation set, as `NAME[:SCORE][@SET]` on the command line.

    Attributes:
        name, score: as in metrics.csv; only OOD metrics have a score.
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
    """What a record holds beside its values.

    Attributes:
        status: `done`, `failed` or `skipped`.
        reason, finished, commit, environment: as in the record.
        has_history, has_curves: whether these files must be beside the record.
        latency: seconds for a single example; 0 if another cell of the variant measured it.
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
    """The results of one run or several.

    Attributes:
        runs: folders of the runs.
        manifest: description of all runs together.
        rows: rows of results.csv, with each value as text.
        holders: by cell id, the run that has its record.
    """

    runs: tuple[Run, ...]
    manifest: Mapping[str, Any]
    rows: tuple[Mapping[str, str], ...]
    holders: Mapping[str, Run]

    @cached_property
    def cells(self) -> dict[CellKey, Mapping[str, Any]]:
        """The planned cells in the order of tables: dataset, method, label, seed."""
        sort_key = table_order(self.manifest)
        cells = [{**cell, "id": cell_id} for cell_id, cell in self.manifest["cells"].items()]
        cells.sort(key=lambda cell: (cell["dataset"], sort_key[cell["label"]], cell["seed"]))
        return {cell_key(cell): cell for cell in cells}

    @cached_property
    def statuses(self) -> dict[CellKey, str]:
        """The status of each planned cell."""
        return tables.statuses(self.manifest["cells"].values(), self.rows)

    @property
    def datasets(self) -> list[str]:
        """Names of the planned datasets, sorted."""
        return list(dict.fromkeys(dataset for dataset, _, _ in self.cells))

    def labels(self, dataset: str | None = None) -> list[str]:
        """Return the labels of a dataset, by default of all, in the order of tables."""
        labels = {label for name, label, _ in self.cells if dataset in (None, name)}
        return sorted(labels, key=table_order(self.manifest).__getitem__)

    def select_datasets(
        self, names: Sequence[str], option: str = "--dataset", where: str = "these runs"
    ) -> list[str]:
        """Return datasets by name, each once, in the order given.

        Args:
            names: names of datasets; none for all.
            option, where: what an error message says before and after an unknown name.

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
        """Return the labels that names stand for, in their order; a method names all its variants.

        Args:
            names: labels or methods; none for all labels.
            dataset: only labels of this dataset.
            option, where: what an error message says before and after an unknown name.

        Raises:
            UsageError: a name is neither a label nor a method.
        """
        labels = self.labels(dataset)
        by_name: dict[str, list[str]] = {}
        for label in labels:
            by_name.setdefault(self.methods[label], []).append(label)
        by_name |= {label: [label] for label in labels}
        for name in names:
            if name not in by_name:
                raise UsageError(f"{option} {name}: not in {where}{nearest(name, by_name)}")
        return list(dict.fromkeys(label for name in names or labels for label in by_name[name]))

    def seeds(self, dataset: str, label: str) -> list[int]:
        """Return the planned seeds of a label on a dataset, in ascending order."""
        return [key[2] for key in self.cells if key[:2] == (dataset, label)]

    @cached_property
    def methods(self) -> dict[str, str]:
        """The method of each label."""
        return {label: cell["method"] for (_, label, _), cell in self.cells.items()}

    @cached_property
    def references(self) -> frozenset[str]:
        """Labels that are not students: bounds to compare with, not rivals."""
        return reference_labels(self.manifest)

    @cached_property
    def costs(self) -> list[str]:
        """Columns of results.csv for costs, such as FLOPs."""
        columns = {column for row in self.rows for column in row}
        return sorted(columns - {*self.manifest["metrics"], *RESULT_COLUMNS})

    def record(self, cell: CellKey) -> Record | None:
        """Return the record of a cell; None if there is none or it is damaged."""
        cell_id = self.cells[cell]["id"]
        return self.holders[cell_id].record(cell_id)

    @cached_property
    def facts(self) -> dict[CellKey, CellFacts]:
        """What each record holds beside its values; all records are read, once."""
        records = ((cell, self.record(cell)) for cell in self.cells)
        return {cell: _cell_facts(record) for cell, record in records if record is not None}

    def metric(self, selector: str) -> MetricInfo:
        """Parse `NAME[:SCORE][@SET]`; SET is `test`, `SHIFT/SEVERITY`, `ood`, `ood:NAME`, `cost`.

        Raises:
            UsageError: no run has such a metric.
        """
        names, _, set_name = selector.partition("@")
        name, _, score = names.partition(":")
        described = self._describe_metric(name)
        is_ood = name.startswith("ood_")
        if not set_name and not score and described["headline"]:
            return MetricInfo(name, "", "", "", 0, described["better"], headline=True)
        base, _, severity = set_name.partition("/")
        if severity and not severity.isdecimal():
            raise UsageError(f"{selector}: {severity!r}: a severity is a whole number")
        if severity:
            evaluation_set = ("test", base, int(severity))
        else:
            evaluation_set = (base or ("ood" if is_ood else "test"), "", 0)
        score = score or ("total" if is_ood else "")
        return MetricInfo(name, score, *evaluation_set, described["better"], headline=False)

    def _describe_metric(self, name: str) -> Mapping[str, Any]:
        """Return the description of a metric or a cost; raise UsageError if it is unknown."""
        metrics = self.manifest["metrics"]
        if name == "error" and "accuracy" in metrics:
            raise UsageError("--metric error: give accuracy, which tables print as error")
        if name not in metrics and name not in self.costs:
            raise UsageError(f"{name}: unknown metric{nearest(name, [*metrics, *self.costs])}")
        cost = {"better": "lower", "headline": True}
        described: Mapping[str, Any] = metrics.get(name, cost)
        return described

    def values(self, metric: MetricInfo) -> dict[CellKey, float]:
        """Return a metric's values by cell, of cells that are done; nan and inf as they are.

        Raises:
            UsageError: no cell has it.
        """
        return self.values_of([metric])[metric]

    def values_of(
        self, metrics: Sequence[MetricInfo], optional: Iterable[MetricInfo] = ()
    ) -> dict[MetricInfo, dict[CellKey, float]]:
        """Return the values of several metrics by cell; the long table is read only once.

        Args:
            metrics: metrics that some cell must have.
            optional: metrics that may have no values; they are empty then.

        Raises:
            UsageError: no cell has one of the metrics.
        """
        values: dict[MetricInfo, dict[CellKey, float]] = {}
        requested = dict.fromkeys([*metrics, *optional])
        for metric in requested:
            if metric.headline:
                values[metric] = {
                    cell_key(row): float(row[metric.name])
                    for row in self.rows
                    if row["status"] == "done" and row.get(metric.name)
                }
        by_key = {_value_key(metric): metric for metric in requested if not metric.headline}
        if by_key:
            values |= {metric: {} for metric in by_key.values()}
            for cell, key, value in self.long_table(by_key.__contains__):
                values[by_key[key]][cell] = value
        for metric in metrics:
            if not values[metric]:
                raise UsageError(f"{metric}: no cell has this value{self._hint(metric)}")
        return values

    def _hint(self, metric: MetricInfo) -> str:
        """Return the nearest selector of a metric or, if no cell has it, the task it belongs to."""
        rows = self.long_table(lambda key: key[3] == metric.name)
        if keys := {key for _, key, _ in rows}:
            return nearest(str(metric), map(_selector, keys))
        task = self.manifest["metrics"].get(metric.name, {}).get("task", "any")
        return "" if task == "any" else f" (a metric of {task})"

    def long_table(
        self, is_wanted: Callable[[ValueKey], bool]
    ) -> Iterator[tuple[CellKey, ValueKey, float]]:
        """Yield the wanted values of cells that are done, from metrics.csv of all runs."""
        for run in self.runs:
            # A label that is marked in these results has no mark in the run's folder.
            planned = run.manifest()["cells"].items()
            held = {
                cell_key(cell): cell_key(self.manifest["cells"][cell_id])
                for cell_id, cell in planned
                if self.holders[cell_id] is run
            }
            for row in tables.metrics(run):
                key = tuple(row[4:9])
                if not is_wanted(key):
                    continue
                dataset, _, label, seed = row[:4]
                try:
                    cell, value = held.get((dataset, label, int(seed))), metric_value(row)
                except ValueError:
                    raise DamagedFile(run.folder / "metrics.csv", "no values") from None
                if cell is not None:
                    yield cell, key, value


def _cell_facts(record: Record) -> CellFacts:
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


def _value_key(metric: MetricInfo) -> ValueKey:
    return metric.set, metric.shift, str(metric.severity), metric.name, metric.score


def _selector(key: ValueKey) -> str:
    name, shift, severity, metric, score = key
    return str(MetricInfo(metric, score, name, shift, int(severity or 0), "", headline=False))


def table_order(manifest: Mapping[str, Any]) -> dict[str, tuple[int, str]]:
    """Return the sort key of each label: the position of its method in the registry, the label."""
    positions = {method["name"]: i for i, method in enumerate(manifest["methods"])}
    return {
        cell["label"]: (positions.get(cell["method"], len(positions)), cell["label"])
        for cell in manifest["cells"].values()
    }


def reference_labels(manifest: Mapping[str, Any]) -> frozenset[str]:
    """Return the labels whose method is a reference."""
    names = {method["name"] for method in manifest["methods"] if method["reference"]}
    return frozenset(c["label"] for c in manifest["cells"].values() if c["method"] in names)


def read(folders: Sequence[Path], mixed: bool = False, agree: bool = True) -> Results:
    """Read runs as one; a cell that several runs hold counts once, the first that is done.

    Args:
        folders: folders of the runs.
        mixed: also take cells made under another protocol (recipe, teacher, sets, code that
            measures) than the first ones of their dataset, or with another method, parameters or
            code than the first ones of their label, with a mark behind their labels.
        agree: require that cells that several runs hold have the same values in all of them.

    Raises:
        UsageError: a folder is not a run, unreadable or without values, protocols differ, a label
            stands for more than one thing, or the values of a cell differ.
    """
    runs = tuple(Run(folder) for folder in dict.fromkeys(folders))
    try:
        joined = join_runs(runs, mixed, agree)
    except ProtocolClash as clash:
        raise UsageError(f"{clash}; --mixed takes both, marked") from None
    return Results(runs, joined.manifest, tuple(joined.rows.values()), joined.holders)
