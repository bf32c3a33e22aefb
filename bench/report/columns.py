"""The columns of a page's tables, and what must be said below them."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from distillation_bench.bench.analysis.chance_level import CHANCE_SIGN, teacher_detections
from distillation_bench.bench.analysis.metric_info import MetricFormat, MetricInfo, metric_format
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


@dataclass(frozen=True, eq=False)
class Column:
    """A metric, or a timing, in the tables of all datasets.

    Attributes:
        key: its selector.
        format: how it is printed.
        group: `quality` for metrics of the leaderboard, `cost`, or the evaluation set of others.
        values: see `Results.values`.
        summary: by dataset and label, `mean` in the printed unit, `text` and `spread` (texts of the
            mean and the deviation), `n`, `rank` among the students and `mark` (`best`, `second`,
            `chance` or empty).
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

    @cached_property
    def rows(self) -> dict[str, dict[str, dict[str, Any]]]:
        """The rows of `summary` by label, of each dataset on which any cell has a value."""
        tables = {str(name): rows.droplevel(0) for name, rows in self.summary.groupby(level=0)}
        return {name: t.to_dict("index") for name, t in tables.items() if t["n"].any()}

    def labelled(self, mark: str, dataset: str) -> str | None:
        """Return the label that has a mark on a dataset."""
        rows = self.rows.get(dataset, {}).items()
        return next((label for label, row in rows if row["mark"] == mark), None)

    @cached_property
    def ranks(self) -> pd.DataFrame:
        """The ranks of students [label, dataset] that are ranked on every dataset that ranks."""
        return self.summary["rank"].unstack("dataset").dropna(axis=1, how="all").dropna()


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
    places = results.metrics[PLACE].drop_duplicates().astype(dict.fromkeys(PLACE, str))
    rows = places[places["metric"].isin(order)].itertuples(index=False)
    for row in sorted(rows, key=lambda row: (row[0] != "test", *row[:3], order.index(row[3]))):
        set_name, shift, severity, name, score = row
        headline, better = described[name]["headline"], described[name]["better"]
        is_usual = (set_name, shift) == ("test", "") or (set_name, score) == ("ood", "total")
        if headline != is_usual or (name.startswith("ood_") and not headline):
            yield MetricInfo(name, score, set_name, shift, int(severity), better, headline=False)


def _metric_column(results: Results, info: MetricInfo, group: str) -> Column:
    values, detections = results.values(info), teacher_detections(results, info)
    shown, described = metric_format(info, values["value"]), results.manifest["metrics"]
    below = {dataset for dataset, detection in detections.items() if detection.is_below_chance}
    # What a student costs is chosen, not measured: nothing is best.
    better = info.better if shown.better else ""
    summary = _marked(_summary(values, results, shown), better, results.references, below)
    reasons = {dataset: d.reason for dataset, d in detections.items() if d.reason}
    meaning = as_sentence(described.get(info.name, {}).get("summary", "") or shown.note)
    return Column(str(info), shown, group, values, summary, reasons, meaning)


def _timing_columns(results: Results) -> Iterator[Column]:
    for name, (title, unit, digits, factor) in TIMINGS.items():
        key = f"timing.{name}"
        if key in results.cells and results.cells[key].notna().any():
            info = MetricInfo(name, "", "cost", "", 0, "", headline=False)
            shown = MetricFormat(info, title, unit, digits, "", factor)
            values = results.cells.rename(columns={key: "value"}).dropna(subset="value")
            yield Column(key, shown, "cost", values, _marked(_summary(values, results, shown)))


def _summary(values: pd.DataFrame, results: Results, shown: MetricFormat) -> pd.DataFrame:
    """Return means in the printed unit with their texts, and as `recorded`."""
    table = summarise(values, results.planned)
    mean, std = shown.convert(table["mean"]), abs(shown.factor) * table["std"]
    has_spread = np.isfinite(std) & np.isfinite(mean) & (not shown.exact)
    return table.assign(
        recorded=table["mean"],
        mean=mean,
        text=[shown.text(m) if n else NO_VALUE for m, n in zip(mean, table["n"], strict=True)],
        spread=[f"± {shown.text(s)}" if x else "" for s, x in zip(std, has_spread, strict=True)],
    )


def _marked(
    summary: pd.DataFrame,
    better: str = "",
    references: Container[str] = (),
    below: Container[str] = (),
) -> pd.DataFrame:
    """Return a summary with the rank and the mark of each label on each dataset."""
    ranks: dict[Any, float] = {}
    marks: dict[Any, str] = {}
    recorded = summary.assign(mean=summary["recorded"])
    for dataset, rows in recorded.groupby(level="dataset", observed=True):
        labels = rank_students(rows.droplevel(0), better, references, dataset in below)
        means = rows["mean"].loc[[(dataset, label) for label in labels]]
        ranks |= means.rank(ascending=better == "lower").to_dict()
        marks |= dict(zip(means.index, ("best", "second"), strict=False))
        if dataset in below:
            marks |= dict.fromkeys(rows.index[rows["n"] > 0], "chance")
    keys = [*summary.index]
    return summary.assign(
        rank=[ranks.get(key, math.nan) for key in keys], mark=[marks.get(key, "") for key in keys]
    )


def as_sentence(text: str) -> str:
    """Return text with a capital and a full stop."""
    text = text.strip()
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def footnotes(results: Results, dataset: str, columns: Sequence[Column]) -> list[str]:
    """Return what must be said of the values of a dataset."""
    here = [column for column in columns if dataset in column.rows]
    ids = results.planned["id"][results.planned["dataset"] == dataset]
    names = [column.format.metric.name for column in here]
    sets = results.manifest.get("ood", {}).get(dataset, {})
    means = [f"{name} ({group})" for name, group in sets.items() if "absent" not in group]
    absent = [name for name, group in sets.items() if "absent" in group]
    chance = [
        f"{CHANCE_SIGN} {column.format.name}: {reason}, so none is best and none is ranked"
        if column.labelled("chance", dataset) is not None
        else f"{column.format.name}: {reason}"
        for column in here
        if column.group == "quality" and (reason := column.reasons.get(dataset))
    ]
    lines = [
        f"OOD AUROC: mean over {', '.join(means)}, by total uncertainty" if means else "",
        f"absent OOD sets: {', '.join(absent)}" if absent else "",
        describe_clamped_variances(results, dataset),
        describe_temperatures(names, ids, temperatures_at_bound(results)),
        *chance,
    ]
    remarks = results.manifest.get("remarks", {}).get(dataset, ())
    return [*(as_sentence(line) for line in lines if line), *remarks]
