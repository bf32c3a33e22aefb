"""Tables for a paper: methods by metrics or datasets, with the best student marked and tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from distillation_bench.bench.analysis.chance_level import describe_ood_sets, is_below_chance
from distillation_bench.bench.analysis.metric_info import MetricFormat, MetricInfo, metric_format
from distillation_bench.bench.analysis.missing_cells import describe_counts
from distillation_bench.bench.analysis.ranking import rank_students
from distillation_bench.bench.analysis.results import Results, summarise
from distillation_bench.bench.analysis.tables.entries import make_entries, shown_values
from distillation_bench.bench.analysis.tables.table import Table, with_texts
from distillation_bench.bench.analysis.values_at_bounds import describe_clamped_variances
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.text import truncated


@dataclass(frozen=True)
class TableOptions:
    """Which results are shown, and how.

    Attributes:
        metrics: selectors; by default the headline metrics.
        datasets, labels: selected ones, in this order; by default all in the order of tables.
        by: "dataset" for a table per dataset with metrics as columns, or "metric" for a table per
            metric with datasets as columns.
        transpose: show methods as columns.
        sort: selector of a metric that methods are sorted by, the best first.
        digits: decimals of all values.
        raw: show values as recorded, not as papers print them.
    """

    metrics: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    by: str = "dataset"
    transpose: bool = False
    sort: str = ""
    digits: int | None = None
    raw: bool = False


def make_tables(results: Results, options: TableOptions) -> list[Table]:
    """Return the selected tables.

    Raises:
        UsageError: there is no such dataset, method or metric, or no value of it.
    """
    planned = shown_cells(results, options.datasets, options.labels)
    names = ", ".join([*options.datasets, *options.labels])
    metrics = [results.metric(selector) for selector in options.metrics]
    for metric in [*metrics, *map(results.metric, filter(None, [options.sort]))]:
        if not results.values(metric).index.isin(planned.index).any():
            raise UsageError(f"{metric}: no cell of {names} has this value")
    metrics = metrics or shown_headline_metrics(results, planned)
    if not metrics:
        raise UsageError(f"{names or 'table'}: no cell has a headline value; give --metric")
    formats = metric_formats(results, planned, metrics, options.digits, options.raw)
    entries = make_entries(results, planned, formats)
    if options.by == "metric":
        names_of = {format: (str(format.metric), format.header) for format in formats}
        keys = entries["format"]
    else:
        names_of = {name: (name, name) for name in planned["dataset"].cat.categories}
        keys = entries["dataset"]
    tables = [
        build_table(results, planned, entries[keys.eq(key)], names, options.by, options.sort)
        for key, names in names_of.items()
        if keys.eq(key).any()
    ]
    corner = "metric" if options.by == "dataset" else "dataset"
    return [table.transposed(corner) for table in tables] if options.transpose else tables


def shown_cells(
    results: Results, datasets: Sequence[str] = (), labels: Sequence[str] = ()
) -> pd.DataFrame:
    """Return the planned cells of datasets and labels, whose order is that of the categories.

    Raises:
        UsageError: there is no such dataset or label, or none of these labels on these datasets.
    """
    chosen = {"dataset": results.select_datasets(datasets), "label": results.select_labels(labels)}
    cells = results.planned
    cells = cells.assign(**{k: cells[k].cat.set_categories(v) for k, v in chosen.items()})
    shown = cells[cells["dataset"].notna() & cells["label"].notna()]
    if shown.empty:
        raise UsageError(f"{', '.join([*datasets, *labels])}: no such cell")
    return shown


def shown_headline_metrics(results: Results, planned: pd.DataFrame) -> list[MetricInfo]:
    """Return the headline metrics that cells have values of."""
    texts = results.headline.loc[planned.index[planned["status"].eq("done")]]
    return [metric for metric in results.headline_metrics if texts[metric.name].ne("").any()]


def metric_formats(
    results: Results,
    planned: pd.DataFrame,
    metrics: Sequence[MetricInfo],
    digits: int | None = None,
    raw: bool = False,
) -> list[MetricFormat]:
    """Return how each metric is printed, for the values that are shown."""
    values = {metric: results.values(metric, optional=True) for metric in metrics}
    shown = {m: table["value"][table.index.isin(planned.index)] for m, table in values.items()}
    return [metric_format(metric, numbers, digits, raw) for metric, numbers in shown.items()]


def build_table(
    results: Results,
    cells: pd.DataFrame,
    entries: pd.DataFrame,
    names: tuple[str, str],
    by: str = "dataset",
    sort: str = "",
) -> Table:
    """Return a table of entries.

    Args:
        results: the results.
        cells: the planned cells, see `shown_cells`, at least of the datasets of the entries.
        entries: see `make_entries`; without any the table is of all cells.
        names: name and title.
        by: "dataset" for metrics as columns, "metric" for datasets as columns.
        sort: selector of a metric that rows are sorted by.
    """
    shown = frozenset(entries["dataset"])
    datasets = [name for name in cells["dataset"].cat.categories if name in shown]
    cells = cells[cells["dataset"].isin(datasets)] if datasets else cells
    formats = list(dict.fromkeys(entries["format"]))
    labels, remarks = _sorted_labels(results, cells, sort)
    key, order = ("dataset", datasets) if by == "metric" else ("format", formats)
    column = entries[key].map(order.index)
    entries = entries.assign(row=entries["label"].map(labels.index), column=column)
    for dataset in datasets:
        remarks += dataset_remarks(results, dataset, entries)
    is_reference = [label in results.references for label in labels]
    columns = datasets if by == "metric" else [format.header for format in formats]
    entries, counts = with_texts(entries), []
    if len(columns) == 1 and len(entries):
        # A column alone would say less than it could.
        n = dict(zip(entries["row"], entries["n"], strict=True))
        counts = [str(n.get(row, 0)) for row in range(len(labels))]
    changes = [i for i in range(1, len(labels)) if is_reference[i] != is_reference[i - 1]]
    return Table(
        *names,
        corner="method",
        rows=labels,
        columns=columns,
        entries=entries,
        remarks=remarks,
        missing=describe_missing(results, cells),
        rule=changes[0] if len(changes) == 1 else 0,
        counts=counts,
    )


def _sorted_labels(results: Results, cells: pd.DataFrame, sort: str) -> tuple[list[str], list[str]]:
    """Return the labels of cells in the order of rows, and a remark on a chosen order."""
    labels = list(cells["label"].cat.remove_unused_categories().cat.categories)
    if not sort:
        return labels, []
    metric = results.metric(sort)
    table = summarise(shown_values(results, cells, metric_format(metric, raw=True)), cells)
    by_dataset = {d: part.droplevel(0) for d, part in table.groupby(level=0, observed=True)}
    having = [d for d, part in by_dataset.items() if part["n"].any()]
    used = [d for d in having if not is_below_chance(results, metric, str(d))]
    if not used:
        why = "worse than chance" if having else "no values"
        return labels, [f"{metric}: {why}, so methods can't be sorted by it."]
    orders = [rank_students(by_dataset[d], metric.better, ()) for d in used]
    complete = [label for label in labels if all(label in order for order in orders)]
    complete.sort(key=lambda label: sum(order.index(label) for order in orders))
    last = [label for label in labels if label not in complete]
    remark = f"Methods by their {'average rank' if len(used) > 1 else 'mean'} in {metric}"
    why = f"; last, where a seed is missing or not finite: {', '.join(last)}" if last else ""
    return [*complete, *last], [f"{remark}{why}."]


def dataset_remarks(results: Results, dataset: str, entries: pd.DataFrame) -> list[str]:
    """Return what must be said of the values on a dataset: OOD sets, clamped variances, data."""
    shows_ood = any(str(format.metric) == "ood_auroc" for format in entries["format"])
    clamped = describe_clamped_variances(results, dataset, entries["label"])
    remarks = results.manifest.get("remarks", {}).get(dataset, ())
    parts = [shows_ood and describe_ood_sets(results, dataset), clamped, *remarks]
    return [f"On {dataset}, {part}." for part in parts if part]


def describe_missing(results: Results, cells: pd.DataFrame) -> dict[str, str]:
    """Return which labels lack cells on which dataset, and the first reason of each.

    Returns:
        Reasons, which may be empty, by a text such as `kd, endd on digits: 1 failed of 3`.
    """
    groups: dict[tuple[str, str, str], list[str]] = {}
    by = ["dataset", "label"]
    lacking = cells[by][cells["status"].ne("done")].drop_duplicates()
    for (dataset, label), own in cells.merge(lacking, on=by).groupby(by, observed=True):
        with_record = own["id"][own["status"].isin(["failed", "skipped"])]
        record = results.record(with_record.iloc[0]) if len(with_record) else None
        reason = truncated(" ".join(record["reason"].split())) if record else ""
        groups.setdefault((dataset, describe_counts(own["status"]), reason), []).append(label)
    return {
        f"{', '.join(labels)} on {dataset}: {counts}": reason
        for (dataset, counts, reason), labels in groups.items()
    }
