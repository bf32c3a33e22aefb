"""Comparisons as files: tables for LaTeX, and all values, as recorded, as CSV and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pandas as pd

from distillation_bench.bench.analysis.comparison.comparison_text import (
    SMALLEST,
    legend,
    marked_label,
    pair_columns,
    pair_texts,
    shared_decimals,
)
from distillation_bench.bench.analysis.comparison.methods import Comparison
from distillation_bench.bench.analysis.comparison.sentences import (
    allowed_sentence,
    further_notes,
    left_out_sentence,
    ranks_sentence,
    verdict_lines,
)
from distillation_bench.bench.analysis.latex import escape_latex, floats, preamble, tabulars
from distillation_bench.bench.analysis.statistics import smallest_p
from distillation_bench.bench.storage.formats.csv_files import as_csv, spreadsheet_safe
from distillation_bench.bench.storage.formats.json_files import encodable

SYMBOLS = {
    "p rank": r"$p_\mathrm{rank}$",
    "p rank Holm": r"$p_\mathrm{rank}$ Holm",
    "p Holm": "$p$ Holm",
    "95 % interval": r"95\,\% interval",
    **{"n": "$n$", "p": "$p$", "P": "$P$", "d_z": "$d_z$"},
}
"""Names of columns on the terminal, and their symbols."""


def comparison_latex(*comparisons: Comparison) -> str:
    """Return a float or more for each dataset, then average ranks if there are any.

    What the columns mean is in the caption of the first one.
    """
    text, explanation = [preamble()], escape_latex(legend(*comparisons, marks=False))
    for name in ("d_z", "P", "p", "p rank"):
        # As its definition begins with it.
        explanation = explanation.replace(f" {escape_latex(name)}: ", f" {SYMBOLS[name]}: ")
    for comparison in comparisons:
        for dataset in comparison.datasets.index:
            text += _pair_floats(comparison, dataset, explanation)
            explanation = ""
        if comparison.pairs.empty:
            text += [rf"\par {escape_latex(line)}." for line in verdict_lines(comparison)]
        text += _rank_floats(comparison)
    return "\n".join(text)


def _pair_floats(comparison: Comparison, dataset: str, explanation: str) -> list[str]:
    baseline, pairs = comparison.baseline, comparison.printed
    pairs, columns = pairs[pairs["dataset"] == dataset], list(pair_columns(comparison, dataset))
    table = pair_texts(comparison, pairs, columns, shared_decimals(pairs))
    # A minus and not a hyphen, since `escape_latex` sets it in maths.
    table[columns] = table[columns].replace({"-": "−", f"[*{SMALLEST}]$": ""}, regex=True)
    against = f"differences to {baseline}" if baseline else "all pairs"
    notes = [
        comparison.note,
        comparison.runs,
        allowed_sentence(comparison, dataset),
        left_out_sentence(comparison, dataset),
        *(f"{line}." for line in verdict_lines(comparison) if " not compared: " in line),
    ]
    text = " ".join([explanation, *(escape_latex(note) for note in notes if note)]).strip()
    title = f"{comparison.format.title} on {dataset}, {against}"
    name = f"compare-{comparison.metric}-{dataset}-{baseline or 'all'}"
    return _floats(table, title, text, name)


def _rank_floats(comparison: Comparison) -> Iterator[str]:
    if comparison.across:
        table = comparison.ranks.set_axis(["method", "average rank"], axis=1)
        table["method"] = [marked_label(comparison, label) for label in table["method"]]
        table["average rank"] = table["average rank"].map("{:.2f}".format)
        notes = [f"{ranks_sentence(comparison)}.", *further_notes(comparison)[-1:]]
        title = f"Average ranks by {comparison.format.name}"
        yield from _floats(
            table, title, escape_latex(" ".join(notes)), f"ranks-{comparison.metric}"
        )


def _floats(table: pd.DataFrame, title: str, explanation: str, name: str) -> list[str]:
    """Return a table of plain text as floats; the explanation is LaTeX."""
    pages = tabulars(
        [SYMBOLS.get(x, x) for x in table], table.map(escape_latex).to_numpy().tolist()
    )
    return floats(pages, escape_latex(title), explanation, f"tab:{name}")


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
