"""A comparison for the terminal, as CSV, JSON and LaTeX."""

from __future__ import annotations

import csv
import io
import json
import math
import textwrap
from collections.abc import Iterator, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.analysis.comparison.pairs import Pair
from bench.analysis.comparison.words import (
    counted,
    decimals,
    missing_words,
    over_datasets_words,
    p_text,
    pooled_words,
    power_words,
)
from bench.analysis.latex import escape, floating, tabular
from bench.analysis.statistics import smallest_p
from bench.store import encode

if TYPE_CHECKING:
    from bench.analysis.comparison.across import Across
    from bench.analysis.comparison.comparing import Comparison, OnDataset

WIDTH = 80
COLUMNS = ("mean", "95 % interval", "d_z", "P", "W/T/L", "n", "p flip", "p rank")


# For the terminal


def as_text(comparison: Comparison) -> str:
    """Tables of at most 80 columns, and what they can and cannot show."""
    parts = [part for entry in comparison.datasets for part in _dataset_text(comparison, entry)]
    parts += [
        _fill(f"{dataset}: {comparison.metric} is not compared: {reason}.")
        for dataset, reason in comparison.absent.items()
    ]
    if comparison.across:
        parts += _across_text(comparison, comparison.across)
    else:
        parts.append(_fill(over_datasets_words(comparison)))
    parts += [_fill(pooled_words(comparison)), _fill(_legend(comparison))]
    return "\n\n".join(part for part in parts if part)


def _dataset_text(comparison: Comparison, entry: OnDataset) -> Iterator[str]:
    yield from _tables(comparison, entry.dataset, entry.pairs)
    if entry.seeds_needed:
        text = power_words(entry.n, len(entry.pairs), "seed")
        text = text[0].upper() + text[1:]
    else:
        text = (
            f"{counted(len(entry.pairs), 'comparison')}, n up to {counted(entry.n, 'seed')}: the "
            f"smallest possible p is {p_text(smallest_p(entry.n))}, after Holm "
            f"{p_text(entry.least_p)}."
        )
    yield _fill(f"{text} {missing_words(entry)}")


def _across_text(comparison: Comparison, across: Across) -> Iterator[str]:
    n, pairs = len(across.seeds), across.pairs
    yield from _tables(comparison, f"{n} datasets, means over seeds", pairs)
    text = over_datasets_words(comparison)
    if len(pairs) * smallest_p(n) > 0.05:
        text += f" Pair by pair, {power_words(n, len(pairs), 'dataset')}"
    if comparison.incomplete:
        out = "; ".join(f"{label}: {why}" for label, why in comparison.incomplete.items())
        text += f" Left out across datasets, since incomplete: {out}."
    yield _fill(text)


def _tables(comparison: Comparison, title: str, pairs: Sequence[Pair]) -> Iterator[str]:
    """One table for each method that others are compared with."""
    places = _places(pairs)
    for second in dict.fromkeys(pair.second for pair in pairs):
        rows = [
            [_marked(comparison, pair.first), *_cells(pair, places)]
            for pair in pairs
            if pair.second == second
        ]
        against = _marked(comparison, second)
        heading = _fill(f"{title}: {comparison.metric}, minus that of {against}")
        yield f"{heading}\n\n{_table(rows)}"


def _marked(comparison: Comparison, label: str) -> str:
    return f"{label} (ref.)" if label in comparison.references else label


def _cells(pair: Pair, places: int) -> list[str]:
    mean, low, high = pair.interval
    limits = "–" if math.isnan(low) else f"{low:.{places}f} to {high:.{places}f}"
    star = "*" if pair.is_told_apart else ""
    return [
        f"{mean:.{places}f}",
        limits,
        _number(pair.effect),
        _number(pair.improvement),
        f"{pair.wins}/{pair.ties}/{pair.losses}",
        str(pair.n),
        f"{p_text(pair.sign_flip.adjusted)}{star}",
        p_text(pair.wilcoxon.adjusted),
    ]


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def _places(pairs: Sequence[Pair]) -> int:
    """The same decimals for all: two digits of the middle mean, but not far below the spread."""
    means = median(abs(pair.interval.mean) for pair in pairs)
    largest = median(max(map(abs, pair.differences)) for pair in pairs)
    return decimals(max(means, largest / 9))


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Names that don't fit beside their figures stand above them."""
    heads = ["method", *COLUMNS]
    widths = [max(len(row[i]) for row in (heads, *rows)) for i in range(1, len(heads))]
    longest = max(len(row[0]) for row in (heads, *rows))
    room = min(longest, WIDTH - sum(widths) - 2 * len(widths))

    def line(name: str, figures: Sequence[str]) -> str:
        cells = (text.rjust(width) for text, width in zip(figures, widths, strict=True))
        above = f"{name}\n" if len(name) > room else ""
        return above + "  ".join([("" if above else name).ljust(room), *cells])

    rule = line("-" * room, ["-" * width for width in widths])
    return "\n".join([line(heads[0], heads[1:]), rule, *(line(row[0], row[1:]) for row in rows)])


def _fill(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_on_hyphens=False, break_long_words=False)


def _legend(comparison: Comparison) -> str:
    better = comparison.metric.better
    text = f"{comparison.metric}: {better} is better." if better else f"{comparison.metric}."
    sides = "is better, equal, worse" if better else "is above, equal, below"
    text += (
        " Means are of paired differences (same teacher and seed), with Student's t intervals, "
        "each 95 % for itself; d_z: Cohen's, with Hedges' correction; "
    )
    if better:
        text += "P: probability that a run of it is better than one of the other, of any seed; "
    text += (
        f"W/T/L: seeds on which the method {sides}; p flip, p rank: sign-flip and Wilcoxon tests, "
        "two-sided, after Holm's correction over the comparisons of the dataset; * sign-flip p at "
        "most .05."
    )
    if comparison.references:
        text += " (ref.): a bound, no student."
    return text


# As data


def as_csv(*comparisons: Comparison) -> str:
    """A row a pair; `scope` is `dataset`, `datasets` (their means) or `pooled`."""
    rows = [row for comparison in comparisons for row in _rows(comparison)]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_json(*comparisons: Comparison) -> str:
    """An object a metric, with everything that there is; non-finite numbers as text."""
    found = [_described(comparison) for comparison in comparisons]
    return json.dumps(encode(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _described(comparison: Comparison) -> dict[str, Any]:
    across = comparison.across
    return {
        "metric": str(comparison.metric),
        "better": comparison.metric.better,
        "baseline": comparison.baseline,
        "references": sorted(comparison.references),
        "datasets": [
            {
                "dataset": entry.dataset,
                "n": entry.n,
                "comparisons": len(entry.pairs),
                "smallest_p": smallest_p(entry.n),
                "smallest_p_holm": entry.least_p,
                "seeds_needed": entry.seeds_needed,
                "left_out": entry.gaps,
                "not_paired": entry.refused,
            }
            for entry in comparison.datasets
        ],
        "not_compared": comparison.absent,
        "pairs": _rows(comparison),
        "across": None
        if across is None
        else {
            "seeds": across.seeds,
            "labels": across.labels,
            "average_ranks": across.ranks,
            "friedman_p": across.friedman,
            "nemenyi_p": across.nemenyi.tolist(),
            "critical_difference": across.critical_difference,
            "groups": across.groups,
        },
        "no_across": comparison.no_across,
        "incomplete": comparison.incomplete,
    }


def _rows(comparison: Comparison) -> list[dict[str, Any]]:
    rows = [
        _row(comparison, "dataset", entry.dataset, pair, len(entry.pairs))
        for entry in comparison.datasets
        for pair in entry.pairs
    ]
    if comparison.across:
        pairs = comparison.across.pairs
        rows += [_row(comparison, "datasets", "", pair, len(pairs)) for pair in pairs]
    empty = dict.fromkeys(rows[0], "")
    for each in comparison.pooled:
        rows.append(
            empty
            | _names(comparison, "pooled", "", each.first, each.second)
            | {
                "n": each.n,
                "sign_flip_p": each.sign_flip.p,
                "sign_flip_p_holm": each.sign_flip.adjusted,
                "comparisons": len(comparison.pooled),
                "smallest_p": smallest_p(each.n),
            }
        )
    return rows


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
        "smallest_p": smallest_p(pair.n),
    }


# For the paper


def as_latex(comparison: Comparison) -> str:
    """Tables in LaTeX: differences on each dataset, then average ranks if there are any."""
    tables = [_latex_pairs(comparison)]
    if comparison.across:
        tables.append(_latex_ranks(comparison, comparison.across))
    return "\n".join(tables)


def _latex_pairs(comparison: Comparison) -> str:
    rows: list[list[str]] = []
    for entry in comparison.datasets:
        places = _places(entry.pairs)
        rows += [[]] if rows else []
        for pair in entry.pairs:
            names = [
                entry.dataset,
                *(_marked(comparison, each) for each in _shown(comparison, pair)),
            ]
            rows.append([escape(each) for each in [*names, *_latex_cells(pair, places)]])
    names = ["dataset", "method", *([] if comparison.baseline else ["against"])]
    headers = [*names, "mean", r"95\,\% interval", "$d_z$", "$P$", "W/T/L", "$n$"]
    headers += [r"$p_\mathrm{flip}$", r"$p_\mathrm{rank}$"]
    table = tabular(headers, rows, "l" * len(names) + "r" * len(COLUMNS))
    label = f"tab:compare-{comparison.metric}-{comparison.baseline or 'all'}"
    return floating(table, escape(_caption(comparison)), label)


def _shown(comparison: Comparison, pair: Pair) -> list[str]:
    return [pair.first] if comparison.baseline else [pair.first, pair.second]


def _latex_cells(pair: Pair, places: int) -> list[str]:
    # A minus, not a hyphen: `escape` sets it in maths.
    return [cell.replace("-", "−").replace("*", "") for cell in _cells(pair, places)]


def _caption(comparison: Comparison) -> str:
    against = f" to {comparison.baseline}" if comparison.baseline else " between methods"
    tested: dict[str, list[str]] = {}
    for entry in comparison.datasets:
        tested.setdefault(_allowed(entry), []).append(entry.dataset)
    parts = [f"{', '.join(names)}: {text}." for text, names in tested.items()]
    parts += [
        f"{entry.dataset}: {missing[0].lower()}{missing[1:]}"
        for entry in comparison.datasets
        if (missing := missing_words(entry))
    ]
    parts += [f"{dataset}: {reason}." for dataset, reason in comparison.absent.items()]
    legend = _legend(comparison).replace("; * sign-flip p at most .05", "")
    return f"Differences{against} in {legend} {' '.join(parts)}"


def _allowed(entry: OnDataset) -> str:
    comparisons = counted(len(entry.pairs), "comparison")
    if entry.seeds_needed:
        seeds = counted(entry.n, "seed")
        return f"{comparisons}, {seeds} can't give p ≤ .05, {entry.seeds_needed} could"
    return f"{comparisons}, smallest possible p after Holm {p_text(entry.least_p)}"


def _latex_ranks(comparison: Comparison, across: Across) -> str:
    rows = [
        [escape(_marked(comparison, label)), f"{rank:.2f}"]
        for label, rank in zip(across.labels, across.ranks, strict=True)
    ]
    table = tabular(["method", "average rank"], rows, "lr")
    label = f"tab:ranks-{comparison.metric}"
    return floating(table, escape(over_datasets_words(comparison)), label)
