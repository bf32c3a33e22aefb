"""The tables of arXiv 2205.09526 with its published values, and those of a run beside them."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from distillation_bench.bench.analysis.old_metric_formats import MetricFormat, metric_format
from distillation_bench.bench.analysis.old_results import MetricInfo, Results
from distillation_bench.bench.analysis.old_summaries import Summary, summarise
from distillation_bench.bench.analysis.tables.table_model import PaperTable, TableEntry
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.storage.tables import CellKey, cell_key

PUBLISHED = Path(__file__).with_name("published") / "hydra_plus.csv"
SHIFT = ("vertical-shift", 3)
NAMES = {"svhn": "SVHN", "cifar10": "CIFAR-10"}
PROTOCOL = {"members": 20, "epochs": 200, "batch_size": 256, "clip": 5.0, "augment": ""}
"""The recipe of the paper's runs, as far as recipes name it."""
RECORDED = {"error": "accuracy", "ece": "ece_10"}
"""Our name of a metric by the paper's name, where the two names differ."""
FROM_SUM = math.log(10) / 100
"""Factor from the paper's TV, a sum of density differences over 50 bins of [0, ln 10], to 0 … 1."""
MACS = {"MMAC": ("M", 1e6), "GMAC": ("G", 1e9)}

PaperRow = Mapping[str, str]
"""A row of the file with published values."""
PaperColumn = tuple[str, str]
"""A dataset and the paper's name of a metric."""


def published_tables(results: Results) -> list[PaperTable]:
    """Return the main table (SVHN, CIFAR-10) and that of shifted CIFAR-10, a plot in the paper."""
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    unshifted = [row for row in rows if row["set"] == "test"]
    shifted = [row for row in rows if row["set"] != "test"]
    return [
        _table("paper", "Published in arXiv 2205.09526 and made here", results, unshifted),
        _table("paper-shift", "The same, CIFAR-10 shifted by 30 % vertically", results, shifted),
    ]


def _table(name: str, title: str, results: Results, published: Sequence[PaperRow]) -> PaperTable:
    columns = {(row["dataset"], row["metric"]): _format(row) for row in published}
    values = {column: _values(results, format.metric) for column, format in columns.items()}
    datasets = list(dict.fromkeys(dataset for dataset, _ in columns))
    protocol = "; ".join(_differences(results, datasets, name != "paper"))
    return PaperTable(
        name,
        title,
        corner="method",
        columns=tuple(f"{NAMES[d]} {format.header}" for (d, _), format in columns.items()),
        rows=tuple(_rows(results, published, columns, values)),
        remarks=(f"{protocol}.", *_lacking(results, datasets, values)),
    )


def _rows(
    results: Results,
    published: Sequence[PaperRow],
    columns: Mapping[PaperColumn, MetricFormat],
    values: Mapping[PaperColumn, Mapping[CellKey, float]],
) -> list[tuple[str, tuple[TableEntry, ...]]]:
    """Return each published row, followed by the rows of its variants in the results."""
    cells = {(row["model"], row["dataset"], row["metric"]): row for row in published}
    datasets = list(dict.fromkeys(dataset for dataset, _ in columns))
    rows = []
    for model, row in {row["model"]: row for row in published}.items():
        entries = (_published_entry(cells[model, *c], format) for c, format in columns.items())
        rows.append((model, tuple(entries)))
        for label in _variants(results, row, datasets):
            entries = (
                _own_entry(results, label, column[0], format, values[column])
                for column, format in columns.items()
            )
            rows.append((f"here: {label}", tuple(entries)))
    return rows


def _format(row: PaperRow) -> MetricFormat:
    """Return how a metric is printed in the paper's unit."""
    name = RECORDED.get(row["metric"], row["metric"])
    shift, severity = SHIFT if row["set"] != "test" else ("", 0)
    is_cost = name in ("flops", "parameters")
    better = "" if is_cost else "higher" if name == "accuracy" else "lower"
    headline = not shift and name != "ece_10"
    metric = MetricInfo(name, "", "test", shift, severity, better, headline)
    format = replace(metric_format(metric, ()), note="")
    if not is_cost:
        short = {"accuracy": "Err", "ece_10": "ECE"}.get(name, format.name.partition(" (")[0])
        return replace(format, name=short)
    size, factor = MACS.get(row["unit"], ("M", 1e6))
    # A multiply-accumulate is 2 FLOPs here and 1 in the paper.
    operations = 0.5 if name == "flops" else 1.0
    return replace(format, unit=size, digits=2, factor=operations / factor)


def _published_entry(row: PaperRow, format: MetricFormat) -> TableEntry:
    scale = FROM_SUM if row["metric"].startswith("teacher_tv") else 1.0
    deviation = float(row["deviation"]) if row["deviation"] else math.nan
    summary = Summary(scale * float(row["mean"]), scale * deviation, int(row["n"]))
    return TableEntry(row["dataset"], row["model"], format, summary, summary.n)


def _values(results: Results, metric: MetricInfo) -> Mapping[CellKey, float]:
    """Return a metric's values by cell; empty if no cell has it."""
    try:
        return results.values(metric)
    except UsageError:
        return {}


def _own_entry(
    results: Results,
    label: str,
    dataset: str,
    format: MetricFormat,
    values: Mapping[CellKey, float],
) -> TableEntry:
    cells = [(dataset, label, seed) for seed in results.seeds(dataset, label)]
    printed = [format.convert(values[cell]) for cell in cells if cell in values]
    summary = summarise(printed) if printed else None
    statuses = {results.statuses[cell] for cell in cells}
    placeholder = "–" if "done" in statuses or not statuses else min(statuses)
    return TableEntry(dataset, label, format, summary, len(cells), placeholder)


def _variants(results: Results, row: PaperRow, datasets: Sequence[str]) -> list[str]:
    """Return the labels of a published row's method that have the same number of heads."""
    heads = {
        label: str(cell["parameters"].get("heads") or results.manifest["recipes"][name]["members"])
        for (name, label, _), cell in results.cells.items()
        if name in datasets and cell["method"] == row["method"]
    }
    return [label for label, count in heads.items() if row["heads"] in ("", count)]


def _differences(results: Results, datasets: Sequence[str], is_shifted: bool) -> list[str]:
    """Return the differences between the paper's protocol and that of the results."""
    parts = [
        "The first line of a method is as published: 20 members, and ± with n where the "
        "other lines have n − 1"
    ]
    parts += [text for dataset in datasets if (text := _recipe_difference(results, dataset))]
    if labels := _with_own_weight(results, datasets):
        parts.append(
            f"λ of {', '.join(labels)}: weight of a mean, chosen by this suite; "
            "the paper's is the weight of a sum"
        )
    if is_shifted:
        parts.append(
            "TV: of histograms of 50 bins, 0 to 1; the paper's sum of density differences over "
            "[0, ln 10] is multiplied by ln(10) / 100"
        )
    else:
        parts.append("ECE of both: 10 equal-width bins; FLOPs of both: multiply-accumulates, once")
    return parts


def _recipe_difference(results: Results, dataset: str) -> str:
    """Return how a dataset's recipe differs from the paper's; empty if it does not."""
    recipe = results.manifest["recipes"].get(dataset)
    if recipe is None:
        return f"no cell of {NAMES[dataset]} here"
    differences = [
        f"{name.replace('_', ' ')} {recipe[name] or 'none'} instead of {value or 'none'}"
        for name, value in PROTOCOL.items()
        if recipe.get(name, value) != value
    ]
    limits = [name for name in ("examples", "test_examples") if recipe.get(name)]
    differences += [f"only {recipe[name]} {name.replace('_', ' ')}" for name in limits]
    return f"{NAMES[dataset]} here: {', '.join(differences)}" if differences else ""


def _with_own_weight(results: Results, datasets: Sequence[str]) -> list[str]:
    """Return labels of Hydra+ whose weight of diversity is of a mean; the paper's is of a sum."""
    is_of_mean = {
        label: cell["parameters"].get("normalise")
        for (name, label, _), cell in results.cells.items()
        if name in datasets and cell["method"] == "hydra+"
    }
    return sorted(label for label, is_mean in is_of_mean.items() if is_mean)


def _lacking(
    results: Results,
    datasets: Sequence[str],
    values: Mapping[PaperColumn, Mapping[CellKey, float]],
) -> list[str]:
    """Return how many cells of older code lack the ECE with the paper's number of bins."""
    rows = [row for row in results.rows if row["dataset"] in datasets and row.get("ece")]
    lacking = [row for row in rows if cell_key(row) not in values.get((row["dataset"], "ece"), ())]
    if not lacking or not any(metric == "ece" for _, metric in values):
        return []
    return [
        f"ECE with 10 bins is not recorded in {len(lacking)} of {len(rows)} cells, which are of "
        "older code: run them again."
    ]
