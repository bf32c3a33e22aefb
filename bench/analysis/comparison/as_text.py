"""A comparison for the terminal and as LaTeX."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING

from distillation_bench.bench.analysis.comparison.pairs import Pair
from distillation_bench.bench.analysis.comparison.sentences import (
    chance_words,
    counted,
    decimals,
    missing_words,
    over_datasets_words,
    p_text,
    p_words,
    pooled_words,
    power_words,
)
from distillation_bench.bench.analysis.statistics import ALPHA, smallest_p
from distillation_bench.bench.analysis.tables.latex import escape, floats, parts, preamble, tabular
from distillation_bench.bench.analysis.tables.text_tables import filled
from distillation_bench.bench.common.text import terminal_safe

if TYPE_CHECKING:
    from distillation_bench.bench.analysis.comparison.across_datasets import AcrossDatasets
    from distillation_bench.bench.analysis.comparison.method_comparison import Comparison, OnDataset

WIDTH = 80
TESTS = {"p flip": r"$p_\mathrm{flip}$", "p rank": r"$p_\mathrm{rank}$"}
ACROSS_COLUMNS = ("W/T/L", "n", "p flip", "p rank")
COLUMNS = ("mean", "95 % interval", "d_z", "P", *ACROSS_COLUMNS)


# For the terminal


def as_text(comparison: Comparison) -> str:
    """Tables of at most 80 columns, and what they can and cannot show."""
    parts = [part for entry in comparison.datasets for part in _dataset_text(comparison, entry)]
    parts += [
        _fill(f"{dataset}: {comparison.metric} is not compared: {reason}.")
        for dataset, reason in comparison.absent.items()
    ]
    parts += map(_fill, chance_words(comparison))
    if comparison.across:
        parts += _across_text(comparison, comparison.across)
    elif comparison.is_tested:
        parts.append(_fill(over_datasets_words(comparison)))
    parts.append(_fill(pooled_words(comparison)))
    if comparison.datasets:
        parts.append(_fill(_legend(comparison)))
    if comparison.across:
        parts.append(_fill(ACROSS_LEGEND))
    return "\n\n".join(part for part in parts if part)


def _dataset_text(comparison: Comparison, entry: OnDataset) -> Iterator[str]:
    places = _places(entry.pairs)
    rows = {pair: _cells(pair, places) for pair in entry.pairs}
    yield from _tables(comparison, entry.dataset, rows, COLUMNS)
    told = _sentence(_allowed(entry)) if comparison.is_tested else ""
    yield _fill(f"{told} {missing_words(entry)}")


def _allowed(entry: OnDataset) -> str:
    """What so many seeds allow to find."""
    if entry.seeds_needed or not entry.tested:
        return power_words(entry.n, len(entry.tested), "seed")
    return (
        f"{counted(len(entry.tested), 'comparison')}, n up to {counted(entry.n, 'seed')}: the "
        f"{p_words(smallest_p(entry.n), 'smallest possible p')}, after Holm "
        f"{p_words(entry.least_p)}."
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _across_text(comparison: Comparison, across: AcrossDatasets) -> Iterator[str]:
    n, pairs = len(across.seeds), across.pairs
    rows = {pair: _across_cells(pair) for pair in pairs}
    yield from _tables(comparison, f"{n} datasets, means over seeds", rows, ACROSS_COLUMNS)
    text = over_datasets_words(comparison)
    if len(pairs) * smallest_p(n) > ALPHA:
        text += f" Pair by pair, {power_words(n, len(pairs), 'dataset')}"
    if comparison.incomplete:
        out = "; ".join(f"{label}: {why}" for label, why in comparison.incomplete.items())
        text += f" Left out across datasets, since incomplete: {out}."
    yield _fill(text)


def _tables(
    comparison: Comparison, title: str, cells: Mapping[Pair, list[str]], columns: Sequence[str]
) -> Iterator[str]:
    """One table for each method that others are compared with."""
    for second in dict.fromkeys(pair.second for pair in cells):
        rows = [
            [terminal_safe(_marked(comparison, pair.first)), *row]
            for pair, row in cells.items()
            if pair.second == second
        ]
        against = _marked(comparison, second)
        heading = _fill(f"{title}: {comparison.metric}, against {against}")
        yield f"{heading}\n\n{_table(rows, ('method', *columns))}"


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


def _across_cells(pair: Pair) -> list[str]:
    # No averages: datasets' figures need not be of one size, nor of one unit.
    counts, n, flip, rank = _cells(pair, 0)[-len(ACROSS_COLUMNS) :]
    return [counts, n, flip, rank]


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def _places(pairs: Sequence[Pair]) -> int:
    """The same decimals for all: two digits of the middle mean, but not far below the spread."""
    means = median(abs(pair.interval.mean) for pair in pairs)
    largest = median(max(map(abs, pair.differences)) for pair in pairs)
    return decimals(max(means, largest / 9))


def _table(rows: Sequence[Sequence[str]], heads: Sequence[str]) -> str:
    """Names that don't fit beside their figures stand above them."""
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
    return filled(terminal_safe(text), WIDTH)


def _legend(comparison: Comparison) -> str:
    better = comparison.metric.better
    text = f"{comparison.metric}: {better} is better." if better else f"{comparison.metric}."
    sides = "is better, equal, worse" if better else "is above, equal, below"
    text += (
        " Means are of paired differences (same teacher and seed), the method's figure minus the "
        "other's; d_z: Cohen's, with Hedges' correction; "
    )
    if better:
        text += "P: probability that a run of it is better than one of the other, of any seed; "
    text += f"W/T/L: seeds on which the method {sides}."
    if comparison.is_tested:
        text += (
            " Student's t intervals are each of one comparison alone, for differences that are "
            "normal, and not corrected. p flip: sign-flip test, p rank: Wilcoxon's, both two-sided "
            "and after Holm's correction over the comparisons of the dataset; * p flip at most .05."
        )
        if comparison.baseline:
            text += (
                " The correction holds for a baseline that was chosen before the figures were seen."
            )
    if any(not pair.is_tested for entry in comparison.datasets for pair in entry.pairs):
        text += " –: not tested."
    if comparison.references and not comparison.note:
        text += " (ref.): a bound, no student, tested only if asked for."
    if comparison.at_bound:
        text += f" {_sentence(comparison.at_bound)}."
    return f"{text} {comparison.note}".rstrip()


ACROSS_LEGEND = (
    "Across datasets n and W/T/L count datasets, by means over seeds; p flip and p rank test these "
    "means' differences, where a dataset weighs as much as its figures differ, after Holm's "
    "correction over the pairs."
)


# For the paper


def as_latex(*comparisons: Comparison) -> str:
    """Tables in LaTeX: a float or more for each dataset, then average ranks if there are any."""
    text = [preamble()]
    for comparison in comparisons:
        for entry in comparison.datasets:
            text += _latex_pairs(comparison, entry)
        if not comparison.datasets:
            text += [rf"\par {escape(each)}" for each in chance_words(comparison)]
        if comparison.across:
            text += _latex_ranks(comparison, comparison.across)
    return "\n".join(text)


def _latex_pairs(comparison: Comparison, entry: OnDataset) -> list[str]:
    places = _places(entry.pairs)
    names = ["method", *([] if comparison.baseline else ["against"])]
    headers = [*names, "mean", r"95\,\% interval", "$d_z$", "$P$", "W/T/L", "$n$", *TESTS.values()]
    rows = [
        [
            *(escape(_marked(comparison, each)) for each in _shown(comparison, pair)),
            *map(escape, _latex_cells(pair, places)),
        ]
        for pair in entry.pairs
    ]
    alignment = "l" * len(names) + "r" * len(COLUMNS)
    pages = [tabular(headers, [rows[i] for i in part], alignment) for part in parts(len(rows))]
    against = f"differences to {comparison.baseline}" if comparison.baseline else "all pairs"
    title = escape(f"{comparison.metric} on {entry.dataset}, {against}")
    name = f"tab:compare-{comparison.metric}-{entry.dataset}-{comparison.baseline or 'all'}"
    return floats(pages, title, _explained(comparison, entry), name)


def _explained(comparison: Comparison, entry: OnDataset) -> str:
    """What stands below a table's title, in LaTeX; columns are called as in the table."""
    legend = escape(_legend(comparison).replace("; * p flip at most .05", ""))
    for name, symbol in {"d_z": "$d_z$", "P": "$P$", **TESTS}.items():
        # As its definition begins with it.
        legend = legend.replace(f" {escape(name)}: ", f" {symbol}: ")
    parts = [_sentence(_allowed(entry))] if comparison.is_tested else []
    parts += [missing_words(entry)]
    parts += [f"Not compared on {name}: {why}." for name, why in comparison.absent.items()]
    parts += chance_words(comparison)
    return " ".join([legend, *(escape(part) for part in parts if part)])


def _shown(comparison: Comparison, pair: Pair) -> list[str]:
    return [pair.first] if comparison.baseline else [pair.first, pair.second]


def _latex_cells(pair: Pair, places: int) -> list[str]:
    # A minus, not a hyphen: `escape` sets it in maths.
    return [cell.replace("-", "−").replace("*", "") for cell in _cells(pair, places)]


def _latex_ranks(comparison: Comparison, across: AcrossDatasets) -> list[str]:
    rows = [
        [escape(_marked(comparison, label)), f"{rank:.2f}"]
        for label, rank in zip(across.labels, across.ranks, strict=True)
    ]
    pages = [
        tabular(["method", "average rank"], [rows[i] for i in part], "lr")
        for part in parts(len(rows))
    ]
    title = escape(f"Average ranks by {comparison.metric}")
    explained = escape(over_datasets_words(comparison))
    return floats(pages, title, explained, f"tab:ranks-{comparison.metric}")
