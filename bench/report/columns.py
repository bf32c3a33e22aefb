"""The columns of a page's tables, and what must be said below them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from distillation_bench.bench.analysis.chance_level import CHANCE_SIGN, TeacherDetection
from distillation_bench.bench.analysis.metric_info import MetricFormat, MetricInfo
from distillation_bench.bench.analysis.results import PLACE, Results, summarise
from distillation_bench.bench.analysis.tables.entries import UNMARKED, make_entries, with_texts
from distillation_bench.bench.analysis.tables.notes import chance_notes
from distillation_bench.bench.analysis.tables.paper_tables import dataset_remarks, metric_formats
from distillation_bench.bench.analysis.values_at_bounds import BOUND_NOTE
from distillation_bench.bench.metrics.registry import FLAGS

MAX_CELLS = 2_000
"""Up to this many cells, every metric can be ticked; beyond, those of the leaderboard."""
TIMINGS = {
    "train_seconds": ("Training", "s", 1, 1.0),
    "seconds": ("Whole cell", "s", 1, 1.0),
    "latency_seconds_batch_1": ("Latency, batch of 1", "ms", 3, 1e3),
    "latency_seconds_batch_256": ("Latency, batch of 256", "µs", 1, 1e6),
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
        meaning: one sentence; may be empty.
        entries: see `tables.entries.make_entries`, with texts.
        values: of cells that are done, in the printed unit, by the index of `Results.planned`.
    """

    key: str
    format: MetricFormat
    group: str
    meaning: str
    entries: pd.DataFrame
    values: pd.Series

    @cached_property
    def rows(self) -> dict[str, dict[str, Any]]:
        """The entries by dataset and label, of datasets on which any cell has a value."""
        by_dataset = self.entries.groupby("dataset", sort=False)
        return {
            str(name): table.set_index("label").to_dict("index")
            for name, table in by_dataset
            if table["n"].any()
        }

    def labelled(self, mark: str, dataset: str) -> list[str]:
        """Return the labels that are `best` or `second` on a dataset."""
        return [name for name, e in self.rows.get(dataset, {}).items() if e["mark"] == mark]

    @cached_property
    def reasons(self) -> dict[str, str]:
        """By dataset, why no student is best, or why that is not known."""
        detecting = self.entries[self.entries["chance"].isin(["worse", "unknown"])]
        # Of several protocols' teachers the worst one.
        detecting = detecting.sort_values("auroc", ascending=False, na_position="first")
        places = detecting[["dataset", "auroc"]].itertuples(index=False, name=None)
        return {dataset: TeacherDetection(auroc).reason for dataset, auroc in places}

    @property
    def ranked_on(self) -> int:
        """The number of datasets on which it ranks students."""
        return int(self.entries.loc[self.entries["rank"].notna(), "dataset"].nunique())


def make_columns(results: Results) -> list[Column]:
    """Return all columns: metrics of the leaderboard, costs, timings, then other metrics."""
    first = [*results.headline_metrics, *map(results.metric, results.costs)]
    return [
        *_metric_columns(results, first),
        *_timing_columns(results),
        *_metric_columns(results, list(_other_metrics(results))),
    ]


def _metric_columns(results: Results, metrics: Sequence[MetricInfo]) -> Iterator[Column]:
    formats = metric_formats(results, results.planned, metrics)
    entries = with_texts(make_entries(results, results.planned, formats, tested=False))
    parts = {str(f.metric): part for f, part in entries.groupby("format", sort=False)}
    for shown in formats:
        info = shown.metric
        is_cost = info.name in results.costs
        group = "cost" if is_cost else "quality" if info.headline else info.shift or info.set
        described = results.manifest["metrics"].get(info.name, {})
        meaning = as_sentence(described.get("summary", "") or shown.note)
        values = shown.convert(results.values(info)["value"])
        yield Column(str(info), shown, group, meaning, parts[str(info)], values)


def _timing_columns(results: Results) -> Iterator[Column]:
    for name, (title, unit, digits, factor) in TIMINGS.items():
        values = factor * results.cells.get(f"timing.{name}", pd.Series(dtype=float)).dropna()
        if len(values):
            info = MetricInfo(name, "", "cost", "", 0, "", headline=False)
            shown = MetricFormat(info, title, unit, digits, "", factor)
            cells = results.planned.loc[values.index].assign(value=values)
            entries = (
                summarise(cells, results.planned).assign(**UNMARKED, format=shown).reset_index()
            )
            yield Column(f"timing.{name}", shown, "cost", "", with_texts(entries), values)


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


def as_sentence(text: str) -> str:
    """Return text with a capital and a full stop."""
    text = text.strip()
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def footnotes(results: Results, dataset: str, columns: Sequence[Column]) -> list[str]:
    """Return what must be said of the values of a dataset."""
    entries = pd.concat([column.entries for column in columns])
    entries = entries[entries["dataset"] == dataset]
    quality = [column.format for column in columns if column.group == "quality"]
    of_quality = entries[entries["format"].isin(quality)]
    lines = dataset_remarks(results, dataset, of_quality)
    lines += chance_notes(of_quality, CHANCE_SIGN)
    return [*lines, BOUND_NOTE] if entries["at_bound"].any() else lines
