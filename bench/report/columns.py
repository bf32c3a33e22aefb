"""The columns of a page's tables, their rows, and what must be said below them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from distillation_bench.bench.analysis.chance_level import CHANCE_SIGN, teacher_detections
from distillation_bench.bench.analysis.metric_info import MetricFormat, MetricInfo, metric_format
from distillation_bench.bench.analysis.missing_cells import describe_counts
from distillation_bench.bench.analysis.ranking import rank_students
from distillation_bench.bench.analysis.results import PLACE, Results, summarise
from distillation_bench.bench.analysis.values_at_bounds import (
    describe_clamped_variances,
    describe_temperatures,
    temperatures_at_bound,
)
from distillation_bench.bench.metrics.registry import FLAGS

MAX_CELLS = 2_000
"""Up to this many cells, every metric can be ticked; beyond, those of the leaderboard."""
NO_VALUE = "–"
TIMINGS = {
    "train_seconds": ("Training", "s", 1, 1.0),
    "seconds": ("Whole cell", "s", 1, 1.0),
    "latency_seconds_batch_1": ("Latency, batch of 1", "ms", 3, 1e3),
    "latency_seconds_batch_256": ("Latency, batch of 256", "ms", 3, 1e3),
    "peak_memory_bytes": ("Peak memory", "MiB", 0, 2.0**-20),
}
"""By timing of a record: name, unit, digits and factor."""


@dataclass(frozen=True)
class Column:
    """A metric, or a timing, in the tables of all datasets.

    Attributes:
        key: its selector.
        format: how it is printed.
        group: `quality` for metrics of the leaderboard, `cost`, or the evaluation set of others.
        values: see `Results.values`.
        summary: by dataset and label, `mean` in the printed unit, `text` and `spread` (texts of the
            mean and the deviation), `n`, `planned`, `missing`, `rank` among the students and `mark`
            (`best`, `second`, `chance` or empty).
        reasons: by dataset, why no student is best, or why that is not known.
        meaning: one sentence; may be empty.
    """

    key: str
    format: MetricFormat
    group: str
    values: pd.DataFrame
    summary: pd.DataFrame
    reasons: Mapping[str, str] = field(default_factory=dict)
    meaning: str = ""

    @property
    def is_shown(self) -> bool:
        """Whether it is in the tables at first; others have to be ticked."""
        return self.group in ("quality", "cost")

    def is_on(self, dataset: str) -> bool:
        """Whether any cell of a dataset has a value."""
        return bool(self.summary.loc[dataset, "n"].any())


def make_columns(results: Results) -> list[Column]:
    """Return all columns: metrics of the leaderboard, costs, timings, then other metrics."""
    quality = [_metric_column(results, info, "quality") for info in results.headline_metrics]
    costs = [_metric_column(results, results.metric(name), "cost") for name in results.costs]
    others = [_metric_column(results, m, m.shift or m.set) for m in _other_metrics(results)]
    return [*quality, *costs, *_timing_columns(results), *others]


def _other_metrics(results: Results) -> Iterator[MetricInfo]:
    """Yield the metrics of a small run that can be ticked beside those of the leaderboard.

    These are all on the test set, OOD detection on each OOD set, and on all sets the metrics of the
    leaderboard.
    """
    if len(results.planned) > MAX_CELLS:
        return
    described = results.manifest["metrics"]
    # Flags are said below tables, and widths of bins are no results.
    order = [name for name in described if name not in FLAGS and not name.endswith("_bin")]
    places = results.metrics[PLACE].drop_duplicates()
    places = places[places["metric"].isin(order)].astype(dict.fromkeys(PLACE, str))
    for row in sorted(
        places.itertuples(index=False), key=lambda r: (r[0] != "test", *r[:3], order.index(r[3]))
    ):
        set_name, shift, severity, name, score = row
        headline, is_usual = described[name]["headline"], (set_name, shift) == ("test", "")
        is_usual |= (set_name, score) == ("ood", "total")
        if headline != is_usual or (name.startswith("ood_") and not headline):
            better = described[name]["better"]
            yield MetricInfo(name, score, set_name, shift, int(severity), better, headline=False)


def _metric_column(results: Results, info: MetricInfo, group: str) -> Column:
    values = results.values(info)
    shown = metric_format(info, values["value"])
    detections = teacher_detections(results, info)
    below = {dataset for dataset, detection in detections.items() if detection.is_below_chance}
    # What a student costs is chosen, not measured: nothing is best.
    better = info.better if shown.better else ""
    summary = _marked(summarise(values, results.planned), better, results.references, below)
    reasons = {dataset: d.reason for dataset, d in detections.items() if d.reason}
    described = results.manifest["metrics"].get(info.name, {})
    meaning = as_sentence(described.get("summary", "") or shown.note)
    return Column(str(info), shown, group, values, _printed(summary, shown), reasons, meaning)


def _timing_columns(results: Results) -> Iterator[Column]:
    for name, (title, unit, digits, factor) in TIMINGS.items():
        column = f"timing.{name}"
        if column in results.cells and results.cells[column].notna().any():
            info = MetricInfo(name, "", "cost", "", 0, "", headline=False)
            shown = MetricFormat(info, title, unit, digits, "", factor)
            values = results.cells.rename(columns={column: "value"}).dropna(subset="value")
            summary = _marked(summarise(values, results.planned))
            yield Column(column, shown, "cost", values, _printed(summary, shown))


def _marked(
    summary: pd.DataFrame,
    better: str = "",
    references: frozenset[str] = frozenset(),
    below: frozenset[str] | set[str] = frozenset(),
) -> pd.DataFrame:
    """Return a summary with the rank and the mark of each label on each dataset."""
    ranks: dict[Any, float] = {}
    marks: dict[Any, str] = {}
    for dataset, rows in summary.groupby(level="dataset", observed=True):
        if dataset in below:
            marks |= dict.fromkeys(rows.index[rows["n"] > 0], "chance")
        rows = rows.droplevel("dataset")
        labels = rank_students(rows, better, references, dataset in below)
        ranked = rows["mean"][labels].rank(ascending=better == "lower")
        ranks |= {(dataset, label): rank for label, rank in ranked.items()}
        marks |= {
            (dataset, label): mark for label, mark in zip(labels, ("best", "second"), strict=False)
        }
    return summary.assign(
        rank=[ranks.get(key, math.nan) for key in summary.index],
        mark=[marks.get(key, "") for key in summary.index],
    )


def _printed(summary: pd.DataFrame, shown: MetricFormat) -> pd.DataFrame:
    """Return a summary in the printed unit, with the texts of means and deviations."""
    mean, spread = shown.convert(summary["mean"]), abs(shown.factor) * summary["std"]
    has_spread = np.isfinite(spread) & np.isfinite(mean) & (not shown.exact)
    return summary.assign(
        mean=mean,
        text=[shown.text(m) if n else NO_VALUE for m, n in zip(mean, summary["n"], strict=True)],
        spread=[
            f"± {shown.text(s)}" if has else "" for s, has in zip(spread, has_spread, strict=True)
        ],
    )


def as_sentence(text: str) -> str:
    """Return text with a capital and a full stop."""
    text = text.strip()
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


# Tables


def make_tables(results: Results, columns: Sequence[Column], group: str) -> list[dict[str, Any]]:
    """Return a table for each dataset with the columns of a group.

    A table has `dataset`, `columns`, `rows` and `footnotes`. A row has `label`, `method`,
    `reference`, `n` (cells that are done), `note` (cells that are not) and `cells`, each a row of
    `Column.summary`.
    """
    tables = []
    for dataset in results.datasets:
        shown = [column for column in columns if column.group == group and column.is_on(dataset)]
        rows = _rows(results, dataset, shown)
        footnotes = _footnotes(results, dataset, columns) if group == "quality" else []
        tables.append({"dataset": dataset, "columns": shown, "rows": rows, "footnotes": footnotes})
    return tables


def _rows(results: Results, dataset: str, columns: Sequence[Column]) -> list[dict[str, Any]]:
    planned = results.planned[results.planned["dataset"] == dataset]
    statuses = planned.groupby("label", observed=True)["status"].agg(list)
    summaries = [column.summary.loc[dataset].to_dict("index") for column in columns]
    return [
        {
            "label": label,
            "method": results.methods[label],
            "reference": label in results.references,
            "n": statuses[label].count("done"),
            "note": describe_counts(statuses[label]),
            "cells": [summary[label] for summary in summaries],
        }
        for label in results.labels(dataset)
    ]


def _footnotes(results: Results, dataset: str, columns: Sequence[Column]) -> list[str]:
    """Return what must be said of the values of a dataset."""
    here = [column for column in columns if column.is_on(dataset)]
    names = [column.format.metric.name for column in here]
    sets = results.manifest.get("ood", {}).get(dataset, {})
    means = [f"{name} ({group})" for name, group in sets.items() if "absent" not in group]
    absent = [name for name, group in sets.items() if "absent" in group]
    chance = [
        f"{CHANCE_SIGN} {column.format.name}: {reason}, so none is best and none is ranked"
        if column.summary.loc[dataset, "mark"].eq("chance").any()
        else f"{column.format.name}: {reason}"
        for column in here
        if column.group == "quality" and (reason := column.reasons.get(dataset))
    ]
    lines = [
        f"OOD AUROC: mean over {', '.join(means)}, by total uncertainty" if means else "",
        f"absent OOD sets: {', '.join(absent)}" if absent else "",
        describe_clamped_variances(results, dataset),
        describe_temperatures(
            names,
            results.planned["id"][results.planned["dataset"] == dataset],
            temperatures_at_bound(results),
        ),
        *chance,
    ]
    remarks = results.manifest.get("remarks", {}).get(dataset, ())
    return [*(as_sentence(line) for line in lines if line), *remarks]


def average_ranks(columns: Sequence[Column]) -> dict[str, Any]:
    """Return ranks averaged over datasets, for metrics that rank students on at least two.

    Returns:
        By `Column.key`: the `column`, `count` of datasets, and `ranks` by label, of students that
        are ranked on all of them.
    """
    averages = {}
    for column in columns:
        if column.group == "quality":
            ranks = column.summary["rank"].unstack("dataset").dropna(axis=1, how="all")
            complete = ranks.dropna().mean(axis=1)
            if ranks.shape[1] > 1 and len(complete):
                averages[column.key] = {
                    "column": column,
                    "count": ranks.shape[1],
                    "ranks": complete.to_dict(),
                }
    return averages


def best_students(results: Results, columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Return a row for each metric of the leaderboard that has a best student on any dataset.

    A row has the `column` and for each dataset `best` and `second` (labels or None), `value` (of
    the best, a row of the summary) and `reason` (why there is none).
    """
    return [
        {"column": column, "cells": [_best(column, dataset) for dataset in results.datasets]}
        for column in columns
        if column.group == "quality" and column.summary["mark"].eq("best").any()
    ]


def _best(column: Column, dataset: str) -> dict[str, Any]:
    table = column.summary.loc[dataset]
    labels = {mark: label for label, mark in table["mark"].items()}
    best, second = labels.get("best"), labels.get("second")
    value = table.loc[best].to_dict() if best is not None else {}
    reason = column.reasons.get(dataset, "") if column.is_on(dataset) else ""
    return {"best": best, "second": second, "value": value, "reason": reason}
