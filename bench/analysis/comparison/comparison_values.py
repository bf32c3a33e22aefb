"""All values of comparisons, as recorded, as CSV and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from distillation_bench.bench.analysis.comparison.methods import Comparison
from distillation_bench.bench.analysis.statistics import smallest_p
from distillation_bench.bench.storage.formats.csv_files import as_csv, spreadsheet_safe
from distillation_bench.bench.storage.formats.json_files import encodable

CSV_COLUMNS = {
    **{name: name for name in ("metric", "better", "scope", "dataset", "first", "second", "n")},
    **{"mean": "mean", "low95": "low", "high95": "high"},
    **{name: name for name in ("scaled_mean", "effect", "improvement", "wins", "ties", "losses")},
    **{"sign_flip_p": "p", "sign_flip_p_holm": "p_holm"},
    **{"wilcoxon_p": "p_rank", "wilcoxon_p_holm": "p_rank_holm"},
    **{"comparisons": "comparisons", "smallest_p": "smallest_p"},
}
"""Columns of the files, and their names in `Comparison.pairs`."""


def comparison_csv(*comparisons: Comparison) -> str:
    """Return CSV with one row for each pair.

    `scope` is `dataset`, `datasets` (means over seeds) or `pooled`. `scaled_mean` is the mean of
    pooled differences, each divided by the root mean square of the differences on its dataset. A
    dataset on which there is no pair has one row, with the reason in `not_compared`.
    """
    rows = [row for comparison in comparisons for row in _pair_rows(comparison)]
    for each in comparisons:
        start = {"metric": str(each.metric), "better": each.metric.better, "scope": "dataset"}
        reasons = each.not_compared.items()
        rows += [{**start, "dataset": name, "not_compared": why} for name, why in reasons]
    safe = [{name: spreadsheet_safe(value) for name, value in row.items()} for row in rows]
    return as_csv([*CSV_COLUMNS, "not_compared"], safe).decode()


def comparison_json(*comparisons: Comparison) -> str:
    """Return JSON with an object for each metric; numbers that are not finite are text."""
    objects = [_comparison_object(comparison) for comparison in comparisons]
    return json.dumps(encodable(objects), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _comparison_object(comparison: Comparison) -> dict[str, Any]:
    across = comparison.across
    return {
        "metric": str(comparison.metric),
        "better": comparison.metric.better,
        "baseline": comparison.baseline,
        "runs": comparison.runs,
        "note": comparison.note,
        "sentences": comparison.sentences,
        "references": sorted(comparison.references),
        "datasets": list(_dataset_objects(comparison)),
        "not_compared": comparison.not_compared,
        "worse_than_chance": sorted(comparison.below_chance),
        "at_bound": comparison.at_bound,
        "chance_unknown": sorted(comparison.chance_unknown),
        "pairs": list(_pair_rows(comparison)),
        "across": across
        and {
            "seeds": across.seeds,
            "labels": across.ranks["label"].tolist(),
            "average_ranks": across.ranks["rank"].tolist(),
            "friedman_p": across.friedman,
            "nemenyi_p": across.nemenyi.to_numpy().tolist(),
            "critical_difference": across.critical_difference,
            "groups": across.groups,
        },
        "no_across": comparison.no_across,
        "incomplete": comparison.incomplete,
    }


def _dataset_objects(comparison: Comparison) -> Iterator[dict[str, Any]]:
    for name, row in comparison.datasets.to_dict("index").items():
        cells = comparison.unusable[comparison.unusable["dataset"].eq(name)]
        left_out = {
            label: group.groupby("reason", sort=False)["seed"].agg(list).to_dict()
            for label, group in cells.groupby("label", observed=True)
        }
        allowed = {**row, "smallest_p": smallest_p(row["n"])}
        not_paired = comparison.not_paired[str(name)]
        yield {"dataset": name, **allowed, "left_out": left_out, "not_paired": not_paired}


def _pair_rows(comparison: Comparison) -> Iterator[dict[str, Any]]:
    pairs, pooled, across = comparison.pairs, comparison.pooled, comparison.across
    counts = pairs["dataset"].map(comparison.datasets["comparisons"])
    names = pooled["datasets"].map(", ".join)
    tables = {
        "dataset": pairs.assign(comparisons=counts),
        "datasets": across.pairs.assign(comparisons=len(across.pairs)) if across else pairs[:0],
        "pooled": pooled.assign(dataset=names, comparisons=len(pooled), tested=True),
    }
    start = {"metric": str(comparison.metric), "better": comparison.metric.better}
    for scope, table in tables.items():
        smallest = table["n"].map(smallest_p).where(table["tested"])
        for row in table.assign(scope=scope, smallest_p=smallest).to_dict("records"):
            yield {name: (start | row).get(source, "") for name, source in CSV_COLUMNS.items()}
