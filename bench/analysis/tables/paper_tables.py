"""Tables for a paper: methods by metrics or datasets, with the best student marked and tested."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from distillation_bench.bench.analysis.chance_level import describe_ood_sets, is_below_chance
from distillation_bench.bench.analysis.metric_info import MetricFormat, MetricInfo, metric_format
from distillation_bench.bench.analysis.missing_cells import describe_counts
from distillation_bench.bench.analysis.ranking import rank_students
from distillation_bench.bench.analysis.results import Results, summarise
from distillation_bench.bench.analysis.tables.entries import make_entries, shown_values, with_texts
from distillation_bench.bench.analysis.tables.table import Table
from distillation_bench.bench.analysis.values_at_bounds import describe_clamped_variances
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.text import truncated


def make_tables(
    results: Results,
    metrics: Sequence[str] = (),
    datasets: Sequence[str] = (),
    labels: Sequence[str] = (),
    *,
    by: str = "dataset",
    transpose: bool = False,
    sort: str = "",
    digits: int | None = None,
    raw: bool = False,
) -> list[Table]:
    """Return the selected tables.

    Args:
        results: the results.
        metrics: selectors; by default the headline metrics.
        datasets, labels: selected ones, in this order; by default all in the order of tables.
        by: "dataset" for a table per dataset with metrics as columns, or "metric" for a table per
            metric with datasets as columns.
        transpose: show methods as columns.
        sort: selector of a metric that methods are sorted by, the best first.
        digits: decimals of all values.
        raw: show values as recorded, not as papers print them.

    Raises:
        UsageError: there is no such dataset, method or metric, or no value of it.
    """
    planned = shown_cells(results, datasets, labels)
    names = ", ".join([*datasets, *labels])
    shown = [results.metric(selector) for selector in metrics]
    for metric in [*shown, *map(results.metric, filter(None, [sort]))]:
        if not results.values(metric).index.isin(planned.index).any():
            raise UsageError(f"{metric}: no cell of {names} has this value")
    shown = shown or shown_headline_metrics(results, planned)
    if not shown:
        raise UsageError(f"{names or 'table'}: no cell has a headline value; give --metric")
    formats = metric_formats(results, planned, shown, digits, raw)
    entries = make_entries(results, planned, formats)
    titles = {format: (str(format.metric), format.header) for format in formats}
    if by == "dataset":
        titles = {name: (name, name) for name in planned["dataset"].cat.categories}
    parts = dict(iter(entries.groupby("format" if by == "metric" else "dataset", sort=False)))
    tables = [
        build_table(results, planned, parts[key], title, by, sort, False if transpose else None)
        for key, title in titles.items()
        if key in parts
    ]
    corner = "metric" if by == "dataset" else "dataset"
    return [table.transposed(corner) for table in tables] if transpose else tables


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
    with_n: bool | None = None,
) -> Table:
    """Return a table of entries.

    Args:
        results: the results.
        cells: the planned cells, see `shown_cells`, at least of the datasets of the entries.
        entries: see `make_entries`; without any the table is of all cells.
        names: name and title.
        by: "dataset" for metrics as columns, "metric" for datasets as columns.
        sort: selector of a metric that rows are sorted by.
        with_n: whether there is a last column n, the number of cells that are done, so that values
            over fewer alone have their own behind them; by default if there is one column, which
            alone would say little.
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
    done = cells["label"][cells["status"].eq("done")].value_counts()
    has_n = len(columns) == 1 if with_n is None else with_n
    usual = entries["label"].map(done) if has_n else None
    changes = [i for i in range(1, len(labels)) if is_reference[i] != is_reference[i - 1]]
    return Table(
        *names,
        corner="method",
        rows=labels,
        columns=columns,
        entries=with_texts(entries, usual),
        remarks=remarks,
        missing=describe_missing(results, cells),
        rule=changes[0] if len(changes) == 1 else 0,
        counts=[str(done[label]) for label in labels] if has_n else [],
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
