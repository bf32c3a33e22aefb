"""The results of runs as DataFrames: what every table, figure and page starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from distillation_bench.bench.analysis.metric_info import (
    COST,
    MetricInfo,
    metric_name,
    parse_metric,
)
from distillation_bench.bench.analysis.overview import overview, overview_html
from distillation_bench.bench.analysis.recorded_tables import (
    join_tables,
    planned_cells,
    read_cell_facts,
    read_metrics,
)
from distillation_bench.bench.common.errors import UsageError, nearest
from distillation_bench.bench.common.text import natural_key
from distillation_bench.bench.storage.formats.schema import RESULT_COLUMNS
from distillation_bench.bench.storage.joined_runs import join_runs
from distillation_bench.bench.storage.protocol import ProtocolClash
from distillation_bench.bench.storage.run_folder import DamagedFile, Record, Run
from distillation_bench.bench.storage.tables import CellKey, cell_key

PLACE = ["set", "shift", "severity", "metric", "score"]
"""Columns of `Results.metrics` that say which value a row holds."""


@dataclass(frozen=True, repr=False)
class Results:
    """The results of one run or several.

    Tables are in natural order: datasets by name, methods as registered, `heads=5` before
    `heads=10`. Columns of names are categories, so that sorting and grouping keep this order.

    Attributes:
        runs: folders of the runs.
        manifest: description of all runs together.
        holders: by cell id, the run that has its record.
        planned: a row for each planned cell: `dataset`, `method`, `label`, `seed`, `id`, `teacher`
            (the key of the teacher with the evaluation sets: cells that share it can be paired),
            `reference` (whether the method is a bound and not a student) and `status`.
        headline: values of results.csv as text by name, one row for each row of `planned`; empty
            text where a cell has no such value.
    """

    runs: tuple[Run, ...]
    manifest: Mapping[str, Any]
    holders: Mapping[str, Run]
    planned: pd.DataFrame
    headline: pd.DataFrame

    def __repr__(self) -> str:
        return overview(self)

    def _repr_html_(self) -> str:
        return overview_html(self)

    # Tables

    @cached_property
    def cells(self) -> pd.DataFrame:
        """A row for each planned cell: `planned`, and what its record holds beside values.

        Beside the columns of `planned`: `run`, `reason`, `finished`, `commit`, `environment`,
        `has_history`, `has_curves`, `param.NAME` for each parameter and `timing.NAME` for each
        timing. A parameter that a method does not have and a timing that was not taken are missing.
        """
        facts = pd.concat([self._facts(run) for run in self.runs])
        parameters = [
            {f"param.{name}": value for name, value in cell["parameters"].items()}
            for cell in (self.manifest["cells"][cell_id] for cell_id in self.planned["id"])
        ]
        of_cells = pd.DataFrame(parameters, index=self.planned.index).convert_dtypes()
        folders = self.planned["id"].map(lambda cell_id: str(self.holders[cell_id].folder))
        joined = self.planned.assign(run=folders).join(facts, on="id")
        timings = [name for name in joined if name.startswith("timing.")]
        return pd.concat([joined.drop(columns=timings), of_cells, joined[timings]], axis=1)

    def _facts(self, run: Run) -> pd.DataFrame:
        """Return what records hold beside values, of those cells of a run that count."""
        facts = read_cell_facts(run)
        return facts[[self.holders.get(cell_id) is run for cell_id in facts.index]]

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """A row for each value of each cell that is done.

        Columns: `dataset`, `method`, `label`, `seed`, `set`, `shift`, `severity`, `metric`,
        `score`, `value`, `defined`, in whose order the rows are. A metric that does not apply to a
        cell has no row. A value that applies and is undefined, such as a correlation with a
        constant, is nan and not `defined`.
        """
        tables = [read_metrics(run, self._shown_labels(run)) for run in self.runs]
        table = tables[0] if len(tables) == 1 else join_tables(tables)
        return self._in_order(table).assign(defined=table["value"].notna())

    def _shown_labels(self, run: Run) -> dict[CellKey, str]:
        """Return the label that is shown, by cell of a run that counts."""
        own, planned = run.manifest()["cells"], self.manifest["cells"]
        held = (cell_id for cell_id, holder in self.holders.items() if holder is run)
        return {cell_key(own[cell_id]): planned[cell_id]["label"] for cell_id in held}

    def _in_order(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return a table of values in the order of `planned`, then of evaluation sets."""
        places = [name for name in PLACE if name != "severity"]
        orders = {name: sorted(table[name].cat.categories, key=natural_key) for name in places}
        orders |= {k: [*self.planned[k].cat.categories] for k in ("dataset", "method", "label")}
        # Not `astype`: to it categories are equal in any order.
        ordered = table.assign(**{k: table[k].cat.set_categories(v) for k, v in orders.items()})
        return ordered.sort_values(["dataset", "label", "seed", *PLACE], ignore_index=True)

    @property
    def datasets(self) -> list[str]:
        """Names of the planned datasets, in order."""
        return list(self.planned["dataset"].cat.categories)

    def labels(self, dataset: str | None = None) -> list[str]:
        """Return the labels of a dataset, by default of all, in the order of tables."""
        if dataset is None:
            return list(self.planned["label"].cat.categories)
        on_dataset = self.planned["label"][self.planned["dataset"] == dataset]
        return list(on_dataset.cat.remove_unused_categories().cat.categories)

    @cached_property
    def methods(self) -> dict[str, str]:
        """The method of each label."""
        first = self.planned.drop_duplicates("label").sort_values("label")
        return dict(zip(first["label"], first["method"], strict=True))

    @cached_property
    def references(self) -> frozenset[str]:
        """Labels that are not students: bounds to compare with, not rivals."""
        return frozenset(self.planned["label"][self.planned["reference"]])

    def seeds(self, dataset: str, label: str) -> list[int]:
        """Return the planned seeds of a label on a dataset, in ascending order."""
        return list(self._planned_seeds.get((dataset, label), ()))

    @cached_property
    def _planned_seeds(self) -> dict[tuple[str, str], list[int]]:
        groups = self.planned.groupby(["dataset", "label"], observed=True)["seed"]
        return {key: sorted(seeds) for key, seeds in groups.agg(list).items()}

    def select_datasets(
        self, names: Sequence[str] = (), option: str = "--dataset", where: str = "these runs"
    ) -> list[str]:
        """Return datasets by name, each once, in the order given; by default all.

        Raises:
            UsageError: a name is unknown; `option`, which may end with =, and `where` are said
                before and after it.
        """
        return _selected(names, {name: [name] for name in self.datasets}, option, where)

    def select_labels(
        self,
        names: Sequence[str] = (),
        dataset: str | None = None,
        option: str = "--method",
        where: str = "these runs",
    ) -> list[str]:
        """Return the labels of a dataset, by default of all, that names stand for, in their order.

        A method names all its variants, a label also those with a mark (see `load`) behind it.

        Raises:
            UsageError: a name is neither a label nor a method; see `select_datasets`.
        """
        labels = self.labels(dataset)
        own = {c["label"]: c.get("own_label", c["label"]) for c in self.manifest["cells"].values()}
        by_name, by_own = dict[str, list[str]](), dict[str, list[str]]()
        for label in labels:
            by_name.setdefault(self.methods[label], []).append(label)
            by_own.setdefault(own[label], []).append(label)
        by_name |= {label: [label] for label in labels} | by_own
        return _selected(names or labels, by_name, option, where)

    # Values

    @cached_property
    def costs(self) -> list[str]:
        """Columns of results.csv for costs, such as FLOPs."""
        return sorted({*self.headline} - {*self.manifest["metrics"], *RESULT_COLUMNS})

    @cached_property
    def headline_metrics(self) -> list[MetricInfo]:
        """The metrics of the leaderboard that have values, in the order of their registry."""
        described = self.manifest["metrics"].items()
        names = [name for name, entry in described if entry["headline"] and name in self.headline]
        return [self.metric(name) for name in names if self.headline[name].ne("").any()]

    def metric(self, selector: str) -> MetricInfo:
        """Parse `NAME[:SCORE][@SET]`; SET is `test`, `SHIFT/SEVERITY`, `ood`, `ood:NAME`, `cost`.

        Raises:
            UsageError: no run has such a metric.
        """
        known = {**self.manifest["metrics"], **dict.fromkeys(self.costs, COST)}
        if metric_name(selector) not in known:
            # Reading all values takes a while, and few costs are in them alone, such as bytes.
            costs = self.metrics["metric"][self.metrics["set"].eq("cost")].unique()
            known = {name: {**COST, "headline": False, "set": "cost"} for name in costs} | known
        return parse_metric(selector, known)

    def values(self, metric: MetricInfo | str, optional: bool = False) -> pd.DataFrame:
        """Return a metric's values in cells that are done.

        Args:
            metric: a metric or its selector.
            optional: return an empty table where no cell has the metric.

        Returns:
            A row for each cell that has the metric, in the order of `planned`, with its index and
            its columns, and `value`; nan and inf as they are.

        Raises:
            UsageError: no cell has it, or it is unknown.
        """
        info = metric if isinstance(metric, MetricInfo) else self.metric(metric)
        if info not in self._read:
            read = self._headline_values if info.headline else self._long_values
            self._read[info] = read(info)
        table = self._read[info]
        if table.empty and not optional:
            raise UsageError(f"{info}: no cell has this value{self._hint(info)}")
        return table

    @cached_property
    def _read(self) -> dict[MetricInfo, pd.DataFrame]:
        """The values that were asked for: tables and their notes ask for the same ones."""
        return {}

    def flag(self, name: str) -> pd.DataFrame:
        """Return a warning's values (`FLAGS` of the metrics), as `values` does; empty if none."""
        return self._headline_values(MetricInfo(name, "", "", "", 0, "", headline=True))

    def _headline_values(self, info: MetricInfo) -> pd.DataFrame:
        texts = self.headline.get(info.name, pd.Series("", self.planned.index))
        has_value = texts.ne("") & self.planned["status"].eq("done")
        return self.planned[has_value].assign(value=texts[has_value].astype(float))

    def _long_values(self, info: MetricInfo) -> pd.DataFrame:
        place = (info.set, info.shift, info.severity, info.name, info.score)
        equal = [self.metrics[name] == value for name, value in zip(PLACE, place, strict=True)]
        rows = self.metrics[np.logical_and.reduce(equal)]
        keys = ["dataset", "label", "seed"]
        cells = self.planned.reset_index(names="row")
        values = cells.merge(rows[[*keys, "value"]].drop_duplicates(keys), on=keys)
        return values.set_index("row").rename_axis(None)

    def _hint(self, info: MetricInfo) -> str:
        """Return the nearest selector of a metric or, if no cell has it, the task it belongs to."""
        rows = self.metrics[self.metrics["metric"] == info.name][PLACE].drop_duplicates()
        if len(rows):
            found = (
                MetricInfo(name, score, set_name, shift, severity, "", headline=False)
                for set_name, shift, severity, name, score in rows.itertuples(index=False)
            )
            return nearest(str(info), map(str, found))
        task = self.manifest["metrics"].get(info.name, {}).get("task", "any")
        return "" if task == "any" else f" (a metric of {task})"

    def summary(self, metric: MetricInfo | str) -> pd.DataFrame:
        """Return a metric's mean and standard deviation over seeds, by dataset and label.

        Returns:
            `mean`, `std` (n − 1 in the denominator; nan for n = 1), `n`, `planned` (number of
            planned seeds) and `missing` (planned − n), with a row for each label of each dataset;
            n = 0 without values. A mean is nan or inf if a value is, and no seed is left out.

        Raises:
            UsageError: no cell has the metric, or it is unknown.
        """
        return summarise(self.values(metric), self.planned)

    # Files beside records

    def record(self, cell_id: str) -> Record | None:
        """Return the record of a cell; None if there is none or it is damaged."""
        return self.holders[cell_id].record(cell_id)

    def history(self, cell_id: str) -> pd.DataFrame:
        """Return the training of a cell, one row for each epoch; empty if it was not recorded.

        Raises:
            DamagedFile: the file is missing or was changed.
        """
        record = self.record(cell_id)
        rows = self.holders[cell_id].history(record) if record else []
        table = pd.DataFrame(rows, dtype=str)
        numbers = [name for name in table if name != "stage"]
        return table.assign(**{name: pd.to_numeric(table[name]) for name in numbers})

    def curves(self, cell_id: str) -> dict[str, np.ndarray]:
        """Return the arrays of a cell's figures by name; empty if it has none.

        Raises:
            DamagedFile: they are missing or were changed.
        """
        record = self.record(cell_id)
        arrays = self.holders[cell_id].curves(record) if record else {}
        if record and record["curves"] and not arrays:
            raise DamagedFile(self.holders[cell_id].paths(cell_id).curves, "missing or damaged")
        return arrays


def _selected(
    names: Sequence[str], by_name: Mapping[str, Sequence[str]], option: str, where: str
) -> list[str]:
    """Return what names stand for, each once; by default all."""
    for name in names:
        if name not in by_name:
            given = f"{option}{name}" if option.endswith("=") else f"{option} {name}"
            raise UsageError(f"{given}: not in {where}{nearest(name, by_name)}")
    return list(dict.fromkeys(found for name in names or by_name for found in by_name[name]))


def summarise(values: pd.DataFrame, planned: pd.DataFrame) -> pd.DataFrame:
    """Return mean, std, n, planned and missing by dataset and label; see `Results.summary`."""
    by = ["dataset", "label"]
    groups = values.groupby(by, observed=True)["value"]
    # By default pandas leaves out nan, and n would be that of other seeds than the mean's.
    table = pd.DataFrame(
        {"mean": groups.mean(skipna=False), "std": groups.std(skipna=False), "n": groups.size()}
    )
    count = planned.groupby(by, observed=True).size()
    table = table.reindex(count.index).assign(planned=count)
    table["n"] = table["n"].fillna(0).astype(int)
    return table.assign(missing=table["planned"] - table["n"])


def load(
    *folders: Path | str, mixed: bool = False, agree: bool = True, unfinished: bool = False
) -> Results:
    """Read runs as one; a cell that several runs hold counts once, the first that is done.

    Args:
        folders: folders of the runs.
        mixed: also take cells made under another protocol (recipe, teacher, sets, code that
            measures) than the first ones of their dataset, or with another method, parameters or
            code than the first ones of their label, with a mark behind their labels.
        agree: require that cells that several runs hold have the same values in all of them.
        unfinished: take runs of which no cell is done, too.

    Raises:
        UsageError: a folder is not a run, unreadable or without values, protocols differ, a label
            stands for more than one thing, or the values of a cell differ.
    """
    runs = tuple(Run(Path(folder)) for folder in dict.fromkeys(map(str, folders)))
    try:
        joined = join_runs(runs, mixed, agree, unfinished)
    except ProtocolClash as clash:
        raise UsageError(f"{clash}; --mixed takes both, marked") from None
    return assemble(runs, joined.manifest, joined.holders, joined.rows)


def assemble(
    runs: tuple[Run, ...],
    manifest: Mapping[str, Any],
    holders: Mapping[str, Run],
    rows: Mapping[CellKey, Mapping[str, str]],
) -> Results:
    """Return results from the description of runs and, by cell, the rows of results.csv."""
    planned = planned_cells(manifest, rows)
    keys = zip(planned["dataset"], planned["label"], planned["seed"], strict=True)
    texts = pd.DataFrame([rows.get(k, {}) for k in keys], index=planned.index, dtype=object)
    headline = texts.fillna("").drop(columns=[*RESULT_COLUMNS], errors="ignore")
    return Results(runs, manifest, holders, planned, headline)
