"""Comparisons as data: CSV and JSON."""

from __future__ import annotations

import io
import json
import math
from typing import Any

from distillation_bench.bench.analysis.old_comparison.across_datasets import (
    AcrossDatasets,
    PooledTest,
)
from distillation_bench.bench.analysis.old_comparison.method_comparison import Comparison
from distillation_bench.bench.analysis.old_comparison.method_pairs import MethodPair
from distillation_bench.bench.analysis.old_comparison.within_datasets import DatasetComparison
from distillation_bench.bench.analysis.statistics import smallest_p
from distillation_bench.bench.storage.formats.csv_files import csv_dict_writer, spreadsheet_safe
from distillation_bench.bench.storage.formats.json_files import encodable

PAIR_COLUMNS = (
    *("metric", "better", "scope", "dataset", "first", "second", "n", "mean", "low95", "high95"),
    *("scaled_mean", "effect", "improvement", "wins", "ties", "losses", "sign_flip_p"),
    *("sign_flip_p_holm", "wilcoxon_p", "wilcoxon_p_holm", "comparisons", "smallest_p"),
)
CSV_COLUMNS = (*PAIR_COLUMNS, "not_compared")

PairRow = dict[str, Any]


def comparison_csv(*comparisons: Comparison) -> str:
    """Return CSV with one row for each pair.

    `scope` is `dataset`, `datasets` (means over seeds) or `pooled`. `scaled_mean` is the mean of
    pooled differences, each divided by the root mean square of the differences on its dataset. A
    dataset on which there is no pair has one row, with the reason in `not_compared`.
    """
    rows = [row for comparison in comparisons for row in _pair_rows(comparison)]
    rows += [row for comparison in comparisons for row in _not_compared_rows(comparison)]
    text = io.StringIO()
    writer = csv_dict_writer(text, CSV_COLUMNS)
    writer.writeheader()
    writer.writerows({name: spreadsheet_safe(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def comparison_json(*comparisons: Comparison) -> str:
    """Return JSON with an object for each metric; numbers that are not finite are text."""
    objects = [_comparison_object(comparison) for comparison in comparisons]
    return json.dumps(encodable(objects), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _comparison_object(comparison: Comparison) -> dict[str, Any]:
    return {
        "metric": str(comparison.metric),
        "better": comparison.metric.better,
        "baseline": comparison.baseline,
        "note": comparison.note,
        "references": sorted(comparison.references),
        "datasets": [_dataset_object(entry) for entry in comparison.datasets],
        "not_compared": comparison.not_compared,
        "worse_than_chance": sorted(comparison.below_chance),
        "at_bound": comparison.at_bound,
        "chance_unknown": sorted(comparison.chance_unknown),
        "pairs": _pair_rows(comparison),
        "across": None if comparison.across is None else _across_object(comparison.across),
        "no_across": comparison.no_across,
        "incomplete": comparison.incomplete,
    }


def _dataset_object(entry: DatasetComparison) -> dict[str, Any]:
    return {
        "dataset": entry.dataset,
        "n": entry.n,
        "comparisons": len(entry.tested),
        "smallest_p": smallest_p(entry.n),
        "smallest_p_holm": entry.smallest_p,
        "seeds_needed": entry.seeds_needed,
        "left_out": entry.unusable,
        "not_paired": entry.not_paired,
    }


def _across_object(across: AcrossDatasets) -> dict[str, Any]:
    return {
        "seeds": across.seeds,
        "labels": across.labels,
        "average_ranks": across.ranks,
        "friedman_p": across.friedman,
        "nemenyi_p": across.nemenyi.tolist(),
        "critical_difference": across.critical_difference,
        "groups": across.groups,
    }


def _pair_rows(comparison: Comparison) -> list[PairRow]:
    rows = [
        _pair_row(comparison, "dataset", entry.dataset, pair, len(entry.tested))
        for entry in comparison.datasets
        for pair in entry.pairs
    ]
    if comparison.across:
        pairs = comparison.across.pairs
        rows += [_pair_row(comparison, "datasets", "", pair, len(pairs)) for pair in pairs]
    return rows + [_pooled_row(comparison, test) for test in comparison.pooled]


def _not_compared_rows(comparison: Comparison) -> list[PairRow]:
    return [
        _names(comparison, "dataset", dataset, "", "") | {"not_compared": why}
        for dataset, why in comparison.not_compared.items()
    ]


def _names(comparison: Comparison, scope: str, dataset: str, first: str, second: str) -> PairRow:
    return {
        "metric": str(comparison.metric),
        "better": comparison.metric.better,
        "scope": scope,
        "dataset": dataset,
        "first": first,
        "second": second,
    }


def _pair_row(
    comparison: Comparison, scope: str, dataset: str, pair: MethodPair, comparisons: int
) -> PairRow:
    return {
        **_names(comparison, scope, dataset, pair.first, pair.second),
        "n": pair.n,
        "mean": pair.interval.mean,
        "low95": pair.interval.low,
        "high95": pair.interval.high,
        "scaled_mean": "",
        "effect": pair.effect,
        "improvement": pair.improvement,
        "wins": pair.wins,
        "ties": pair.ties,
        "losses": pair.losses,
        "sign_flip_p": pair.sign_flip.p,
        "sign_flip_p_holm": pair.sign_flip.corrected,
        "wilcoxon_p": pair.wilcoxon.p,
        "wilcoxon_p_holm": pair.wilcoxon.corrected,
        "comparisons": comparisons,
        "smallest_p": smallest_p(pair.n) if pair.is_tested else math.nan,
    }


def _pooled_row(comparison: Comparison, test: PooledTest) -> PairRow:
    datasets = ", ".join(test.datasets)
    return {
        **dict.fromkeys(PAIR_COLUMNS, ""),
        **_names(comparison, "pooled", datasets, test.first, test.second),
        "n": test.n,
        "scaled_mean": test.scaled_mean,
        "sign_flip_p": test.sign_flip.p,
        "sign_flip_p_holm": test.sign_flip.corrected,
        "comparisons": len(comparison.pooled),
        "smallest_p": smallest_p(test.n),
    }
