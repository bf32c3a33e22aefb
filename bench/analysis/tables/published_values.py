"""The tables of arXiv 2205.09526 with its published values, and those of a run beside them."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from distillation_bench.bench.analysis.metric_info import MetricFormat, MetricInfo, metric_format
from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.analysis.tables.entries import make_entries
from distillation_bench.bench.analysis.tables.table import Table, with_texts

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


def published_tables(results: Results) -> list[Table]:
    """Return the main table (SVHN, CIFAR-10) and that of shifted CIFAR-10, a plot in the paper."""
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    unshifted = [row for row in rows if row["set"] == "test"]
    shifted = [row for row in rows if row["set"] != "test"]
    return [
        _table("paper", "Published in arXiv 2205.09526 and made here", results, unshifted),
        _table("paper-shift", "The same, CIFAR-10 shifted by 30 % vertically", results, shifted),
    ]


def _table(name: str, title: str, results: Results, published: Sequence[PaperRow]) -> Table:
    columns = {(row["dataset"], row["metric"]): _format(row) for row in published}
    datasets = list(dict.fromkeys(dataset for dataset, _ in columns))
    own = _own_entries(results, columns)
    rows, parts = [], []
    for model, row in {row["model"]: row for row in published}.items():
        rows.append(model)
        theirs = [_published_entry(r, columns) for r in published if r["model"] == model]
        parts.append(pd.DataFrame(theirs).assign(row=len(rows) - 1))
        for label in _variants(results, row, datasets):
            rows.append(f"here: {label}")
            parts.append(own[own["label"].eq(label)].assign(row=len(rows) - 1))
    entries = pd.concat([part for part in parts if len(part)])
    places = [(dataset, format) for (dataset, _), format in columns.items()]
    column = [places.index(p) for p in zip(entries["dataset"], entries["format"], strict=True)]
    entries = with_texts(entries.assign(column=column))
    headers = [f"{NAMES[dataset]} {format.header}" for (dataset, _), format in columns.items()]
    remarks = ["; ".join(_differences(results, datasets, name != "paper")) + "."]
    remarks += _lacking(results, datasets) if ("cifar10", "ece") in columns else []
    return Table(name, title, "method", rows, headers, entries, remarks)


def _own_entries(results: Results, columns: Mapping[PaperColumn, MetricFormat]) -> pd.DataFrame:
    """Return the entries of the results, without marks."""
    cells = results.planned
    parts = [
        make_entries(results, cells[cells["dataset"].eq(dataset)], [format], tested=False)
        for (dataset, _), format in columns.items()
    ]
    entries = pd.concat([part for part in parts if len(part)] or parts[:1])
    return entries.assign(mark="", rank=math.nan, chance="")


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


def _published_entry(row: PaperRow, columns: Mapping[PaperColumn, MetricFormat]) -> dict[str, Any]:
    scale = FROM_SUM if row["metric"].startswith("teacher_tv") else 1.0
    return {
        "dataset": row["dataset"],
        "label": row["model"],
        "reference": False,
        "format": columns[row["dataset"], row["metric"]],
        "mean": scale * float(row["mean"]),
        "std": scale * float(row["deviation"] or "nan"),
        **{"n": int(row["n"]), "planned": int(row["n"]), "status": "–", "rank": math.nan},
        **{"mark": "", "comparisons": 0, "shared": math.nan, "level": ""},
        **{"auroc": math.nan, "chance": "", "at_bound": 0},
    }


def _cells(results: Results, datasets: Sequence[str]) -> list[Mapping[str, Any]]:
    return [cell for cell in results.manifest["cells"].values() if cell["dataset"] in datasets]


def _variants(results: Results, row: PaperRow, datasets: Sequence[str]) -> list[str]:
    """Return the labels of a published row's method that have the same number of heads."""
    recipes = results.manifest["recipes"]
    heads = {
        cell["label"]: cell["parameters"].get("heads") or recipes[cell["dataset"]]["members"]
        for cell in _cells(results, datasets)
        if cell["method"] == row["method"]
    }
    return [label for label, count in heads.items() if row["heads"] in ("", str(count))]


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
        cell["label"]: cell["parameters"].get("normalise")
        for cell in _cells(results, datasets)
        if cell["method"] == "hydra+"
    }
    return sorted(label for label, is_mean in is_of_mean.items() if is_mean)


def _lacking(results: Results, datasets: Sequence[str]) -> list[str]:
    """Return how many cells of older code lack the ECE with the paper's number of bins."""
    recorded = [results.values(name, optional=True) for name in ("ece", "ece_10@test")]
    ece, with_bins = (table[table["dataset"].isin(datasets)]["id"] for table in recorded)
    count = int((~ece.isin(with_bins)).sum())
    return [
        f"ECE with 10 bins is not recorded in {count} of {len(ece)} cells, which are of older "
        "code: run them again."
    ] * bool(count)
