"""The tables of arXiv 2205.09526 with its published values, and those of a run beside them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from distillation_bench.bench.analysis.metric_info import MetricFormat, MetricInfo, metric_format
from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.analysis.tables.entries import UNMARKED, make_entries, with_texts
from distillation_bench.bench.analysis.tables.table import Table

PUBLISHED = Path(__file__).with_name("published") / "hydra_plus.csv"
NAMES = {"svhn": "SVHN", "cifar10": "CIFAR-10"}
PROTOCOL = {"members": 20, "epochs": 200, "batch_size": 256, "clip": 5.0, "augment": ""}
"""The recipe of the paper's runs, as far as recipes name it."""
RECORDED = {"error": "accuracy", "ece": "ece_10"}
"""Our name of a metric by the paper's name, where the two names differ."""
FROM_SUM = math.log(10) / 100
"""Factor from the paper's TV, a sum of density differences over 50 bins of [0, ln 10], to 0 … 1."""
SIZES = {"M": 1e6, "G": 1e9}
NOTES = {
    "test": "ECE of both: 10 equal-width bins; FLOPs of both: multiply-accumulates, once",
    "shifted": (
        "TV: of histograms of 50 bins, 0 to 1; the paper's sum of density differences over "
        "[0, ln 10] is multiplied by ln(10) / 100"
    ),
}


def published_tables(results: Results) -> list[Table]:
    """Return the main table (SVHN, CIFAR-10) and that of shifted CIFAR-10, a plot in the paper."""
    published = pd.read_csv(PUBLISHED, dtype=str, keep_default_na=False)
    published["format"] = [_format(row) for row in published.itertuples()]
    mean, std, n = (
        published[["mean", "deviation", "n"]].replace("", "nan").astype(float).T.to_numpy()
    )
    scale = published["metric"].str.startswith("teacher_tv").map({True: FROM_SUM, False: 1.0})
    n = n.astype(int)
    published = published.assign(**UNMARKED, mean=scale * mean, std=scale * std, n=n, planned=n)
    published["label"] = published["model"]
    is_test = published["set"].eq("test")
    main = "paper", "Published in arXiv 2205.09526 and made here"
    shifted = "paper-shift", "The same, CIFAR-10 shifted by 30 % vertically"
    tables = [_table(main, results, published[is_test], NOTES["test"])]
    tables[0].remarks.extend(_lacking(results))
    return [*tables, _table(shifted, results, published[~is_test], NOTES["shifted"])]


def _format(row: Any) -> MetricFormat:
    """Return how a metric is printed in the paper's unit."""
    name = RECORDED.get(row.metric, row.metric)
    shift, severity = ("", 0) if row.set == "test" else ("vertical-shift", 3)
    is_cost = name in ("flops", "parameters")
    better = "" if is_cost else "higher" if name == "accuracy" else "lower"
    headline = not shift and name != "ece_10"
    metric = MetricInfo(name, "", "test", shift, severity, better, headline)
    format = replace(metric_format(metric), note="")
    if not is_cost:
        short = {"accuracy": "Err", "ece_10": "ECE"}.get(name, format.name.partition(" (")[0])
        return replace(format, name=short)
    size = row.unit.removesuffix("MAC")
    # A multiply-accumulate is 2 FLOPs here and 1 in the paper.
    operations = 0.5 if name == "flops" else 1.0
    return replace(format, unit=size, digits=2, factor=operations / SIZES[size])


def _table(names: tuple[str, str], results: Results, published: pd.DataFrame, note: str) -> Table:
    places = [*published[["dataset", "format"]].drop_duplicates().itertuples(index=False)]
    datasets = [*published["dataset"].unique()]
    own, lines = _own_entries(results, places), {}
    for model, theirs in published.groupby("model", sort=False):
        lines[str(model)] = theirs
        for label in _variants(results, theirs.iloc[0], datasets):
            lines[f"here: {label}"] = own[own["label"].eq(label)]
    entries = pd.concat(lines.values(), keys=range(len(lines)), names=["row"]).reset_index("row")
    column = [*map(places.index, zip(entries["dataset"], entries["format"], strict=True))]
    headers = [f"{NAMES[dataset]} {format.header}" for dataset, format in places]
    remark = "; ".join([*_differences(results, datasets), note])
    entries = with_texts(entries.assign(column=column))
    return Table(*names, "method", [*lines], headers, entries, [f"{remark}."])


def _own_entries(results: Results, places: Sequence[Any]) -> pd.DataFrame:
    """Return the entries of the results, without marks."""
    cells = results.planned
    parts = [
        make_entries(results, cells[cells["dataset"].eq(dataset)], [format], tested=False)
        for dataset, format in places
    ]
    unmarked = {name: UNMARKED[name] for name in ("mark", "rank", "chance")}
    return pd.concat([part for part in parts if len(part)] or parts[:1]).assign(**unmarked)


def _parameters(
    results: Results, method: str, datasets: Sequence[str]
) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return a dataset and the parameters of each label of a method."""
    return {
        cell["label"]: (cell["dataset"], cell["parameters"])
        for cell in results.manifest["cells"].values()
        if cell["method"] == method and cell["dataset"] in datasets
    }


def _variants(results: Results, row: Any, datasets: Sequence[str]) -> list[str]:
    """Return the labels of a published row's method that have the same number of heads."""
    recipes = results.manifest["recipes"]
    return [
        label
        for label, (dataset, own) in _parameters(results, row["method"], datasets).items()
        if row["heads"] in ("", str(own.get("heads") or recipes[dataset]["members"]))
    ]


def _differences(results: Results, datasets: Sequence[str]) -> Iterator[str]:
    """Yield the differences between the paper's protocol and that of the results."""
    yield (
        "The first line of a method is as published: 20 members, and ± with n where the "
        "other lines have n − 1"
    )
    yield from filter(None, (_recipe_difference(results, dataset) for dataset in datasets))
    hydra = _parameters(results, "hydra+", datasets)
    if labels := sorted(label for label, (_, own) in hydra.items() if own.get("normalise")):
        yield (
            f"λ of {', '.join(labels)}: weight of a mean, chosen by this suite; "
            "the paper's is the weight of a sum"
        )


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


def _lacking(results: Results) -> list[str]:
    """Return how many cells of older code lack the ECE with the paper's number of bins."""
    recorded = (results.values(name, optional=True) for name in ("ece", "ece_10@test"))
    ece, with_bins = (table["id"][table["dataset"].isin([*NAMES])] for table in recorded)
    count = int((~ece.isin(with_bins)).sum())
    return [
        f"ECE with 10 bins is not recorded in {count} of {len(ece)} cells, which are of older "
        "code: run them again."
    ] * bool(count)
