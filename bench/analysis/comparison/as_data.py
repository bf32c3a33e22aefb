"""A comparison as data: CSV and JSON."""

from __future__ import annotations

import io
import json
import math
from typing import TYPE_CHECKING, Any

from distillation_bench.bench.analysis.comparison.pairs import Pair
from distillation_bench.bench.analysis.statistics import smallest_p
from distillation_bench.bench.storage.formats.csv_files import csv_dict_writer, spreadsheet_safe
from distillation_bench.bench.storage.formats.json_files import encodable

if TYPE_CHECKING:
    from distillation_bench.bench.analysis.comparison.across_datasets import AcrossDatasets
    from distillation_bench.bench.analysis.comparison.method_comparison import Comparison, OnDataset

ROW_COLUMNS = (
    *("metric", "better", "scope", "dataset", "first", "second", "n", "mean", "low95", "high95"),
    *("scaled_mean", "effect", "improvement", "wins", "ties", "losses", "sign_flip_p"),
    *("sign_flip_p_holm", "wilcoxon_p", "wilcoxon_p_holm", "comparisons", "smallest_p"),
)
CSV_COLUMNS = (*ROW_COLUMNS, "not_compared")


def as_csv(*comparisons: Comparison) -> str:
    """A row a pair; `scope` is `dataset`, `datasets` (their means) or `pooled`.

    `scaled_mean` is of pooled differences, each in root mean squares of its dataset's.
    `not_compared` has a reason in the one row of a dataset on which there is no pair.
    """
    rows = [row for comparison in comparisons for row in _rows(comparison)]
    rows += [row for comparison in comparisons for row in _not_compared(comparison)]
    text = io.StringIO()
    writer = csv_dict_writer(text, CSV_COLUMNS)
    writer.writeheader()
    writer.writerows({name: spreadsheet_safe(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def as_json(*comparisons: Comparison) -> str:
    """An object a metric, with everything that there is; non-finite numbers as text."""
    found = [_described(comparison) for comparison in comparisons]
    return json.dumps(encodable(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _described(comparison: Comparison) -> dict[str, Any]:
    return {
        "metric": str(comparison.metric),
        "better": comparison.metric.better,
        "baseline": comparison.baseline,
        "note": comparison.note,
        "references": sorted(comparison.references),
        "datasets": [_on_dataset(entry) for entry in comparison.datasets],
        "not_compared": comparison.not_compared,
        "worse_than_chance": sorted(comparison.below_chance),
        "at_bound": comparison.at_bound,
        "chance_unknown": sorted(comparison.unjudged),
        "pairs": _rows(comparison),
        "across": None if comparison.across is None else _over_datasets(comparison.across),
        "no_across": comparison.no_across,
        "incomplete": comparison.incomplete,
    }


def _on_dataset(entry: OnDataset) -> dict[str, Any]:
    return {
        "dataset": entry.dataset,
        "n": entry.n,
        "comparisons": len(entry.tested),
        "smallest_p": smallest_p(entry.n),
        "smallest_p_holm": entry.least_p,
        "seeds_needed": entry.seeds_needed,
        "left_out": entry.gaps,
        "not_paired": entry.refused,
    }


def _over_datasets(across: AcrossDatasets) -> dict[str, Any]:
    return {
        "seeds": across.seeds,
        "labels": across.labels,
        "average_ranks": across.ranks,
        "friedman_p": across.friedman,
        "nemenyi_p": across.nemenyi.tolist(),
        "critical_difference": across.critical_difference,
        "groups": across.groups,
    }


def _rows(comparison: Comparison) -> list[dict[str, Any]]:
    rows = [
        _row(comparison, "dataset", entry.dataset, pair, len(entry.tested))
        for entry in comparison.datasets
        for pair in entry.pairs
    ]
    if comparison.across:
        pairs = comparison.across.pairs
        rows += [_row(comparison, "datasets", "", pair, len(pairs)) for pair in pairs]
    for each in comparison.pooled:
        rows.append(
            dict.fromkeys(ROW_COLUMNS, "")
            | _names(comparison, "pooled", ", ".join(each.datasets), each.first, each.second)
            | {
                "n": each.n,
                "scaled_mean": each.scaled_mean,
                "sign_flip_p": each.sign_flip.p,
                "sign_flip_p_holm": each.sign_flip.adjusted,
                "comparisons": len(comparison.pooled),
                "smallest_p": smallest_p(each.n),
            }
        )
    return rows


def _not_compared(comparison: Comparison) -> list[dict[str, Any]]:
    return [
        _names(comparison, "dataset", dataset, "", "") | {"not_compared": why}
        for dataset, why in comparison.not_compared.items()
    ]


def _names(
    comparison: Comparison, scope: str, dataset: str, first: str, second: str
) -> dict[str, Any]:
    return {
        "metric": str(comparison.metric),
        "better": comparison.metric.better,
        "scope": scope,
        "dataset": dataset,
        "first": first,
        "second": second,
    }


def _row(
    comparison: Comparison, scope: str, dataset: str, pair: Pair, comparisons: int
) -> dict[str, Any]:
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
        "sign_flip_p_holm": pair.sign_flip.adjusted,
        "wilcoxon_p": pair.wilcoxon.p,
        "wilcoxon_p_holm": pair.wilcoxon.adjusted,
        "comparisons": comparisons,
        "smallest_p": smallest_p(pair.n) if pair.is_tested else math.nan,
    }
