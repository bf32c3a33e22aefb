"""The entries of tables, as a DataFrame: means over seeds, marks, and tests against the best."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, count
from typing import Any

import numpy as np
import pandas as pd

from distillation_bench.bench.analysis.chance_level import label_detections
from distillation_bench.bench.analysis.metric_info import MetricFormat
from distillation_bench.bench.analysis.pairing import paired_values
from distillation_bench.bench.analysis.ranking import rank_students
from distillation_bench.bench.analysis.results import Results, summarise
from distillation_bench.bench.analysis.statistics import (
    ALPHA,
    can_reach_alpha,
    holm,
    sign_flip_p,
)
from distillation_bench.bench.analysis.values_at_bounds import (
    TEMPERED_METRICS,
    temperatures_at_bound,
)

UNMARKED: Mapping[str, Any] = {
    **{"reference": False, "status": "–", "rank": math.nan, "mark": "", "comparisons": 0},
    **{"shared": math.nan, "level": "", "auroc": math.nan, "chance": "", "at_bound": 0},
}
"""Columns of entries of which nothing is to be said but their mean, std, n and planned."""
TYPES = {
    **{"dataset": object, "label": object, "reference": bool},
    **{"mean": float, "std": float, "n": int, "planned": int},
    **{"rank": float, "comparisons": int, "shared": float, "auroc": float, "at_bound": int},
}


def make_entries(
    results: Results, planned: pd.DataFrame, formats: Iterable[MetricFormat], tested: bool = True
) -> pd.DataFrame:
    """Return the entries of metrics: a row for each label of each dataset that has the metric.

    Columns: `dataset`, `label`, `reference`, `format`; `mean` and `std` in the printed unit, `n`
    and `planned`; `status` ("–", or of cells that are not done); `rank`, from 1, of students with
    all seeds and a finite mean, else nan; `mark` ("best", "second" or empty); `comparisons`, the
    number of pairs of ranked students that share seeds, and `shared`, the seeds shared with the
    best; `level`, whether a student is not distinguishable from the best ("yes", "no", or empty
    where no test could tell); `auroc` and `chance` of the teacher, if the metric detects; and
    `at_bound`, the number of seeds whose temperature, on which the value depends, is at a bound.

    Args:
        results: the results.
        planned: the cells that are shown, see `Results.planned`; categories in order.
        formats: how each metric is printed.
        tested: whether to test students against the best.
    """
    parts = [
        part for format in formats for part in _entries_of_metric(results, planned, format, tested)
    ]
    if not parts:
        return pd.DataFrame(columns=list({**TYPES, "format": "", **UNMARKED})).astype(TYPES)
    table, groups = pd.concat(parts), planned.groupby(["dataset", "label"], observed=True)["status"]
    status = groups.agg(lambda found: "–" if "done" in set(found) else found.iloc[0])
    return table.assign(status=status.reindex(table.index)).reset_index().astype(TYPES)


def shown_values(results: Results, planned: pd.DataFrame, format: MetricFormat) -> pd.DataFrame:
    """Return the values in the printed unit of the cells that are shown, with their columns."""
    values = results.values(format.metric, optional=True)["value"]
    cells = planned[planned.index.isin(values.index)]
    return cells.assign(value=format.convert(values[cells.index]))


def _entries_of_metric(
    results: Results, planned: pd.DataFrame, format: MetricFormat, tested: bool
) -> list[pd.DataFrame]:
    """Return the entries of each dataset that has the metric, by dataset and label."""
    values = shown_values(results, planned, format)
    table = summarise(values, planned).assign(**UNMARKED, format=format)
    table["reference"] = table.index.get_level_values("label").isin(results.references)
    if detections := label_detections(results, format.metric):
        found = [detections[key] for key in table.index]
        table["auroc"], table["chance"] = [x.auroc for x in found], [x.verdict for x in found]
    if format.metric.name in TEMPERED_METRICS:
        flagged = values[values["id"].isin(temperatures_at_bound(results))]
        bounds = flagged.groupby(["dataset", "label"], observed=True).size()
        table["at_bound"] = bounds.reindex(table.index, fill_value=0)
    return [
        _ranked(part, values, results, tested)
        for _, part in table.groupby(level="dataset", observed=True)
        if part["n"].any()
    ]


def _ranked(
    entries: pd.DataFrame, values: pd.DataFrame, results: Results, tested: bool
) -> pd.DataFrame:
    """Return the entries of a metric on a dataset with ranks, marks and tests."""
    dataset, format, own = entries.index[0][0], entries["format"].iloc[0], entries.droplevel(0)
    is_below = bool(own["chance"].eq("worse").any())
    ranked = rank_students(own, format.better, results.references, is_below)
    columns: dict[str, dict[str, Any]] = {"rank": dict(zip(ranked, count(1), strict=False))}
    if tested:
        students = paired_values(values, dataset).reindex(columns=ranked)
        columns |= compare_with_best(students.to_numpy(), ranked)
    columns["mark"] = _marks(ranked, own["mean"].map(format.text), columns.get("level", {}))
    found = pd.DataFrame(columns, index=own.index.astype(str), dtype=object)
    return entries.assign(
        **{
            name: found[name].where(found[name].notna(), UNMARKED[name]).to_numpy()
            for name in found
        }
    )


def _marks(
    ranked: Sequence[str], texts: Mapping[str, str], level: Mapping[str, str]
) -> dict[str, str]:
    """Return the marks of the best and the second by printed mean; equal means share a mark.

    One that is distinguishable from the best does not share its mark. A single student is not best,
    and if two are best none is second.
    """
    if len(ranked) < 2:
        return {}
    equal = [label for label in ranked if texts[label] == texts[ranked[0]]]
    best = [label for label in equal if level.get(label) != "no"]
    others = [label for label in ranked if label not in best] if len(best) == 1 else []
    second = [label for label in others if texts[label] == texts[others[0]]]
    return dict.fromkeys(best, "best") | dict.fromkeys(second, "second")


def compare_with_best(values: np.ndarray, ranked: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Test all pairs of ranked students, of which the first is the best.

    The best is chosen by the same values, so every pair of students is a comparison: Holm's
    correction over the pairs with the best alone would err more often than it states.

    Args:
        values: finite or nan, a row for each seed, a column for each student.
        ranked: their labels.

    Returns:
        `comparisons`, `shared` and `level`, by label; see `make_entries`.
    """
    pairs = {(i, j): values[:, i] - values[:, j] for i, j in combinations(range(len(ranked)), 2)}
    pairs = {pair: d[~np.isnan(d)] for pair, d in pairs.items()}
    pairs = {pair: d for pair, d in pairs.items() if len(d)}
    p = dict.fromkeys(pairs, 1.0)
    if any(can_reach_alpha(len(pairs), len(d)) for d in pairs.values()):
        p = dict(zip(pairs, holm([sign_flip_p(d) for d in pairs.values()]), strict=True))
    shared = {label: len(pairs.get((0, i), ())) for i, label in enumerate(ranked) if i}
    level = {
        label: "yes" if p.get((0, i), 1.0) > ALPHA else "no"
        for i, (label, n) in enumerate(shared.items(), start=1)
        if can_reach_alpha(len(pairs), n) or p.get((0, i), 1.0) <= ALPHA
    }
    return {"comparisons": dict.fromkeys(ranked, len(pairs)), "shared": shared, "level": level}


# What is printed of an entry


def is_below_chance(entry: Any) -> bool:
    """Return whether a value is grey, since the teacher itself detects worse than chance."""
    return bool(entry.chance == "worse" and entry.n)


def value_text(entry: Any) -> str:
    """Return mean ± deviation in the printed unit, with n if it is not the usual one."""
    return entry.text if entry.n in (0, entry.usual) else f"{entry.text} ({entry.n})"


def with_texts(entries: pd.DataFrame, usual: Sequence[int] | int | None = None) -> pd.DataFrame:
    """Return entries with their `text` and the `usual` n, by default that of most."""
    if usual is None:
        counts = entries["n"][entries["n"] > 0].value_counts()
        usual = int(counts[counts.eq(counts.max())].index.max()) if len(counts) else 0
    texts = [_mean_text(entry) if entry.n else entry.status for entry in entries.itertuples()]
    return entries.assign(text=texts, usual=usual)


def _mean_text(entry: Any) -> str:
    text: str = entry.format.text(entry.mean)
    if np.isfinite(entry.std) and (entry.std or not entry.format.exact):
        text += f" ± {entry.format.text(entry.std)}"
    return text
