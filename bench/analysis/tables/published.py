"""The tables of arXiv 2205.09526 with its published figures, and those of a run beside them."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from distillation_bench.bench.analysis.metric_formats import MetricFormat, metric_format
from distillation_bench.bench.analysis.results import MetricInfo, Results
from distillation_bench.bench.analysis.summaries import Summary, summarise
from distillation_bench.bench.analysis.tables.entries import Entry, Table
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.storage.tables import CellKey, cell_key

PUBLISHED = Path(__file__).with_name("published") / "hydra_plus.csv"
SHIFT = ("vertical-shift", 3)
NAMES = {"svhn": "SVHN", "cifar10": "CIFAR-10"}
PROTOCOL = {"members": 20, "epochs": 200, "batch_size": 256, "clip": 5.0, "augment": ""}
"""Of the paper's runs, as far as recipes name it."""
RECORDED = {"error": "accuracy", "ece": "ece_10"}
"""By the paper's figure, the metric that is computed as it is, where its name is another one."""
FROM_SUM = math.log(10) / 100
"""From its TV, the sum of density differences over 50 bins of [0, ln 10], to one of 0 to 1."""
MACS = {"MMAC": ("M", 1e6), "GMAC": ("G", 1e9)}

Row = Mapping[str, str]


def paper_tables(results: Results) -> list[Table]:
    """The main table (SVHN, CIFAR-10), and the shifted CIFAR-10, in the paper a figure."""
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    plain = [row for row in rows if row["set"] == "test"]
    shifted = [row for row in rows if row["set"] != "test"]
    return [
        _table("paper", "Published in arXiv 2205.09526 and made here", results, plain),
        _table("paper-shift", "The same, CIFAR-10 shifted by 30 % vertically", results, shifted),
    ]


def _table(name: str, title: str, results: Results, published: Sequence[Row]) -> Table:
    columns = {(row["dataset"], row["figure"]): _quantity(row) for row in published}
    found = {(row["model"], row["dataset"], row["figure"]): row for row in published}
    figures = {key: _figures(results, what.metric) for key, what in columns.items()}
    datasets = list(dict.fromkeys(dataset for dataset, _ in columns))
    rows = []
    for model, row in {row["model"]: row for row in published}.items():
        theirs = (_published(found[model, *key], what) for key, what in columns.items())
        rows.append((model, tuple(theirs)))
        for label in _variants(results, row, datasets):
            ours = (
                _ours(results, label, key[0], what, figures[key]) for key, what in columns.items()
            )
            rows.append((f"here: {label}", tuple(ours)))
    return Table(
        name,
        title,
        corner="method",
        columns=tuple(f"{NAMES[dataset]} {what.header}" for (dataset, _), what in columns.items()),
        rows=tuple(rows),
        remarks=(
            "; ".join(_differences(results, datasets, name != "paper")) + ".",
            *_lacking(results, datasets, figures),
        ),
    )


def _quantity(row: Row) -> MetricFormat:
    """How a figure is printed in the paper's unit."""
    name = RECORDED.get(row["figure"], row["figure"])
    shift, severity = SHIFT if row["set"] != "test" else ("", 0)
    cost = name in ("flops", "parameters")
    better = "" if cost else "higher" if name == "accuracy" else "lower"
    metric = MetricInfo(
        name, "", "test", shift, severity, better, headline=not shift and name != "ece_10"
    )
    made = replace(metric_format(metric, ()), note="")
    if not cost:
        short = {"accuracy": "Err", "ece_10": "ECE"}.get(name, made.name.partition(" (")[0])
        return replace(made, name=short)
    size, factor = MACS.get(row["unit"], ("M", 1e6))
    # Here a multiply-accumulate is 2 FLOPs, there 1.
    operations = 0.5 if name == "flops" else 1.0
    return replace(made, unit=size, digits=2, factor=operations / factor)


def _published(row: Row, what: MetricFormat) -> Entry:
    scale = FROM_SUM if row["figure"].startswith("teacher_tv") else 1.0
    deviation = float(row["deviation"]) if row["deviation"] else math.nan
    summary = Summary(scale * float(row["mean"]), scale * deviation, int(row["n"]))
    return Entry(row["dataset"], row["model"], what, summary, summary.n)


def _figures(results: Results, metric: MetricInfo) -> Mapping[CellKey, float]:
    """Of all cells; none where no cell has the metric."""
    try:
        return results.values(metric)
    except UsageError:
        return {}


def _ours(
    results: Results, label: str, dataset: str, what: MetricFormat, figures: Mapping[CellKey, float]
) -> Entry:
    slots = [(dataset, label, seed) for seed in results.seeds(dataset, label)]
    values = [what.convert(figures[slot]) for slot in slots if slot in figures]
    statuses = {results.statuses[slot] for slot in slots}
    empty = "–" if "done" in statuses or not statuses else min(statuses)
    return Entry(dataset, label, what, summarise(values) if values else None, len(slots), empty)


def _variants(results: Results, row: Row, datasets: Sequence[str]) -> list[str]:
    """Labels here, on these datasets, of a published row's method with as many heads."""
    heads = {
        label: str(cell["parameters"].get("heads") or results.manifest["recipes"][name]["members"])
        for (name, label, _), cell in results.cells.items()
        if name in datasets and cell["method"] == row["method"]
    }
    return [label for label, count in heads.items() if row["heads"] in ("", count)]


def _differences(results: Results, datasets: Sequence[str], shifted: bool) -> list[str]:
    """Between the paper's protocol and that of the run."""
    parts = [
        "The first line of a method: as published, with 20 members, and ± with n where the "
        "other lines have n − 1"
    ]
    for dataset in datasets:
        recipe = results.manifest["recipes"].get(dataset)
        if recipe is None:
            parts.append(f"no cell of {NAMES[dataset]} here")
            continue
        others = [
            f"{name.replace('_', ' ')} {recipe[name] or 'none'} instead of {value or 'none'}"
            for name, value in PROTOCOL.items()
            if recipe.get(name, value) != value
        ]
        cut = [name for name in ("examples", "test_examples") if recipe.get(name)]
        others += [f"only {recipe[name]} {name.replace('_', ' ')}" for name in cut]
        if others:
            parts.append(f"{NAMES[dataset]} here: {', '.join(others)}")
    if own := _with_own_weight(results, datasets):
        parts.append(
            f"λ of {', '.join(own)}: of a mean, chosen by this suite; the paper's: of a sum"
        )
    if shifted:
        parts.append(
            "TV: of histograms of 50 bins, 0 to 1; there a sum of density differences over "
            "[0, ln 10], multiplied here by ln(10) / 100"
        )
    else:
        parts.append("ECE of both: 10 equal-width bins; FLOPs of both: multiply-accumulates, once")
    return parts


def _with_own_weight(results: Results, datasets: Sequence[str]) -> list[str]:
    """Labels of Hydra+ whose weight of diversity is not the paper's, which is that of a sum."""
    labels = {
        label: cell["parameters"].get("normalise")
        for (name, label, _), cell in results.cells.items()
        if name in datasets and cell["method"] == "hydra+"
    }
    return sorted(label for label, is_mean in labels.items() if is_mean)


def _lacking(
    results: Results,
    datasets: Sequence[str],
    figures: Mapping[tuple[str, str], Mapping[CellKey, float]],
) -> list[str]:
    """Whether cells of older code have no ECE with the paper's bins; others are no stand-in."""
    rows = [row for row in results.rows if row["dataset"] in datasets and row.get("ece")]
    lacking = [row for row in rows if cell_key(row) not in figures.get((row["dataset"], "ece"), ())]
    if not lacking or not any(figure == "ece" for _, figure in figures):
        return []
    return [
        f"ECE with 10 bins is not recorded in {len(lacking)} of {len(rows)} cells, which are of "
        "older code: run them again."
    ]
