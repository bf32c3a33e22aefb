"""The entries of tables, as a DataFrame: means over seeds, marks, and tests against the best."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import pandas as pd

from distillation_bench.bench.analysis.chance_level import teacher_detections
from distillation_bench.bench.analysis.metric_info import MetricFormat
from distillation_bench.bench.analysis.pairing import paired_values
from distillation_bench.bench.analysis.ranking import rank_students
from distillation_bench.bench.analysis.results import Results, summarise
from distillation_bench.bench.analysis.values_at_bounds import (
    TEMPERED_METRICS,
    temperatures_at_bound,
)

ENTRY_COLUMNS = (
    *("dataset", "label", "reference", "format", "mean", "std", "n", "planned", "status", "rank"),
    *("mark", "comparisons", "shared", "level", "auroc", "chance", "at_bound"),
)


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
    status = planned.groupby(["dataset", "label"], observed=True)["status"].agg(_placeholder)
    parts = [
        part.assign(status=status.reindex(part.index), format=format).reset_index()
        for format in formats
        for part in _entries_of_metric(results, planned, format, tested)
    ]
    if not parts:
        return pd.DataFrame(columns=ENTRY_COLUMNS)
    return pd.concat(parts, ignore_index=True).astype({"dataset": object, "label": object})


def shown_values(results: Results, planned: pd.DataFrame, format: MetricFormat) -> pd.DataFrame:
    """Return the values in the printed unit of the cells that are shown, with their columns."""
    values = results.values(format.metric, optional=True)["value"]
    cells = planned[planned.index.isin(values.index)]
    return cells.assign(value=format.convert(values[cells.index]))


def _entries_of_metric(
    results: Results, planned: pd.DataFrame, format: MetricFormat, tested: bool
) -> Iterable[pd.DataFrame]:
    """Yield the entries of each dataset that has the metric, by dataset and label."""
    values = shown_values(results, planned, format)
    detections = teacher_detections(results, format.metric)
    at_bound = temperatures_at_bound(results) if format.metric.name in TEMPERED_METRICS else ()
    values["at_bound"] = values["id"].isin(at_bound) if at_bound else False
    by = ["dataset", "label"]
    bounds = values.groupby(by, observed=True)["at_bound"].sum()
    table = summarise(values, planned).assign(at_bound=bounds)
    for dataset, part in table.groupby(level="dataset", observed=True):
        if not part["n"].any():
            continue
        detection = detections.get(str(dataset))
        is_below = detection is not None and detection.is_below_chance
        own = part.droplevel("dataset")
        ranked = rank_students(own, format.better, results.references, is_below)
        marks = _marks(ranked, own["mean"].map(format.text))
        tests = _tests(values, str(dataset), ranked) if tested else {}
        columns = {
            "reference": [label in results.references for label in own.index],
            "rank": [ranked.index(x) + 1.0 if x in ranked else math.nan for x in own.index],
            "mark": [marks.get(label, "") for label in own.index],
            "comparisons": tests.get("comparisons", 0),
            "shared": [tests.get("shared", {}).get(label, math.nan) for label in own.index],
            "level": [tests.get("level", {}).get(label, "") for label in own.index],
            "auroc": detection.auroc if detection else math.nan,
            "chance": detection.verdict if detection else "",
        }
        yield part.assign(**columns, at_bound=part["at_bound"].fillna(0).astype(int))


def _placeholder(statuses: Iterable[str]) -> str:
    """Return what stands for a value that cells do not have."""
    found = list(statuses)
    return "–" if "done" in found else found[0]


def _marks(ranked: Sequence[str], texts: Mapping[str, str]) -> dict[str, str]:
    """Return the marks of the best and the second by printed mean; equal means share a mark.

    A single student is not best, and if two are best none is second.
    """
    printed = list(dict.fromkeys(texts[label] for label in ranked))
    if len(ranked) < 2:
        return {}
    names = dict(zip(printed, ("best", "second"), strict=False))
    if sum(texts[label] == printed[0] for label in ranked) > 1:
        names = {printed[0]: "best"}
    return {label: names[texts[label]] for label in ranked if texts[label] in names}


def _tests(values: pd.DataFrame, dataset: str, ranked: Sequence[str]) -> dict[str, Any]:
    """Test all pairs of ranked students, of which the first is the best.

    The best is chosen by the same values, so every pair of students is a comparison: Holm's
    correction over the pairs with the best alone would err more often than it states.
    """
    # SciPy is imported for tests alone.
    from distillation_bench.bench.analysis.holm import can_reach_alpha, holm
    from distillation_bench.bench.analysis.statistics import ALPHA, sign_flip_p

    table = paired_values(values, dataset)
    columns = {label: table[label].to_numpy() for label in ranked}
    pairs = {pair: columns[pair[0]] - columns[pair[1]] for pair in combinations(ranked, 2)}
    pairs = {pair: d[~pd.isna(d)] for pair, d in pairs.items()}
    pairs = {pair: d for pair, d in pairs.items() if len(d)}
    p = dict.fromkeys(pairs, 1.0)
    if any(can_reach_alpha(len(pairs), len(d)) for d in pairs.values()):
        p = dict(zip(pairs, holm([sign_flip_p(d) for d in pairs.values()]), strict=True))
    best, *others = ranked or [""]
    shared = {label: len(pairs.get((best, label), ())) for label in others}
    level = {
        label: "yes" if p.get((best, label), 1.0) > ALPHA else "no"
        for label, n in shared.items()
        if can_reach_alpha(len(pairs), n) or p.get((best, label), 1.0) <= ALPHA
    }
    return {"comparisons": len(pairs), "shared": shared, "level": level}
