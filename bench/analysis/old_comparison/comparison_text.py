"""A comparison as tables and sentences for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from distillation_bench.bench.analysis.holm import can_reach_alpha
from distillation_bench.bench.analysis.markup.text_tables import aligned_table, wrap_words
from distillation_bench.bench.analysis.old_comparison.across_datasets import AcrossDatasets
from distillation_bench.bench.analysis.old_comparison.method_comparison import Comparison
from distillation_bench.bench.analysis.old_comparison.method_pairs import MethodPair
from distillation_bench.bench.analysis.old_comparison.sentences import (
    across_sentence,
    capitalised,
    chance_sentences,
    decimals,
    left_out_sentence,
    p_equation,
    p_text,
    pooled_sentence,
    power_sentence,
)
from distillation_bench.bench.analysis.old_comparison.within_datasets import DatasetComparison
from distillation_bench.bench.analysis.statistics import smallest_p
from distillation_bench.bench.common.text import counted, terminal_safe

WIDTH = 80
ACROSS_COLUMNS = ("W/T/L", "n", "p flip", "p rank")
COLUMNS = ("mean", "95 % interval", "d_z", "P", *ACROSS_COLUMNS)
ACROSS_LEGEND = (
    "Across datasets n and W/T/L count datasets, by means over seeds; p flip and p rank test the "
    "differences of these means, after Holm's correction over the pairs; datasets with larger "
    "differences weigh more."
)


def comparison_text(comparison: Comparison) -> str:
    """Return tables of at most 80 columns, and what they can and cannot show."""
    parts = [part for entry in comparison.datasets for part in _dataset_parts(comparison, entry)]
    parts += [
        _wrap(f"{dataset}: {comparison.metric} is not compared: {reason}.")
        for dataset, reason in comparison.not_comparable.items()
    ]
    parts += map(_wrap, chance_sentences(comparison))
    if comparison.across:
        parts += _across_parts(comparison, comparison.across)
    elif comparison.is_tested:
        parts.append(_wrap(across_sentence(comparison)))
    parts.append(_wrap(pooled_sentence(comparison)))
    if comparison.datasets:
        parts.append(_wrap(legend(comparison)))
    if comparison.across:
        parts.append(_wrap(ACROSS_LEGEND))
    return "\n\n".join(part for part in parts if part)


def _wrap(text: str) -> str:
    return wrap_words(terminal_safe(text), WIDTH)


def _dataset_parts(comparison: Comparison, entry: DatasetComparison) -> Iterator[str]:
    places = shared_decimals(entry.pairs)
    rows = {pair: pair_cells(pair, places) for pair in entry.pairs}
    yield from _tables(comparison, entry.dataset, rows, COLUMNS)
    allowed = allowed_sentence(entry) if comparison.is_tested else ""
    yield _wrap(f"{allowed} {left_out_sentence(entry)}")


def _across_parts(comparison: Comparison, across: AcrossDatasets) -> Iterator[str]:
    n, pairs = len(across.seeds), across.pairs
    # Without averages: datasets' values need not be of the same size or unit.
    rows = {pair: pair_cells(pair, 0)[-len(ACROSS_COLUMNS) :] for pair in pairs}
    yield from _tables(comparison, f"{n} datasets, means over seeds", rows, ACROSS_COLUMNS)
    text = across_sentence(comparison)
    if not can_reach_alpha(len(pairs), n):
        text += f" Pair by pair, {power_sentence(n, len(pairs), 'dataset')}"
    if comparison.incomplete:
        labels = "; ".join(f"{label}: {why}" for label, why in comparison.incomplete.items())
        text += f" Left out across datasets, since incomplete: {labels}."
    yield _wrap(text)


def _tables(
    comparison: Comparison,
    title: str,
    cells: Mapping[MethodPair, Sequence[str]],
    columns: Sequence[str],
) -> Iterator[str]:
    """Yield one table for each method that others are compared with."""
    for second in dict.fromkeys(pair.second for pair in cells):
        rows = [
            [terminal_safe(marked_label(comparison, pair.first)), *row]
            for pair, row in cells.items()
            if pair.second == second
        ]
        against = marked_label(comparison, second)
        heading = _wrap(f"{title}: {comparison.metric}, against {against}")
        table = aligned_table([("method", *columns), *rows], WIDTH, long_names_above=True)
        yield f"{heading}\n\n{table}"


# Parts that the LaTeX output shares


def marked_label(comparison: Comparison, label: str) -> str:
    """Return a label; that of a reference with a mark."""
    return f"{label} (ref.)" if label in comparison.references else label


def pair_cells(pair: MethodPair, places: int) -> list[str]:
    """Return the texts of a pair's row, in the order of COLUMNS."""
    mean, low, high = pair.interval
    limits = "–" if math.isnan(low) else f"{low:.{places}f} to {high:.{places}f}"
    star = "*" if pair.is_distinguishable else ""
    return [
        f"{mean:.{places}f}",
        limits,
        _two_decimals(pair.effect),
        _two_decimals(pair.improvement),
        f"{pair.wins}/{pair.ties}/{pair.losses}",
        str(pair.n),
        f"{p_text(pair.sign_flip.corrected)}{star}",
        p_text(pair.wilcoxon.corrected),
    ]


def _two_decimals(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def shared_decimals(pairs: Sequence[MethodPair]) -> int:
    """Return the decimals of all means: two digits of the median, but not far below the spread."""
    means = median(abs(pair.interval.mean) for pair in pairs)
    largest = median(max(map(abs, pair.differences)) for pair in pairs)
    return decimals(max(means, largest / 9))


def allowed_sentence(entry: DatasetComparison) -> str:
    """Return what the number of seeds and comparisons allows to find."""
    if entry.seeds_needed or not entry.tested:
        return capitalised(power_sentence(entry.n, len(entry.tested), "seed"))
    return (
        f"{counted(len(entry.tested), 'comparison')}, n up to {counted(entry.n, 'seed')}: the "
        f"{p_equation(smallest_p(entry.n), 'smallest possible p')}, after Holm "
        f"{p_equation(entry.smallest_p)}."
    )


def legend(comparison: Comparison) -> str:
    """Return what the columns of a dataset's table mean."""
    parts = [_columns_legend(comparison)]
    if comparison.is_tested:
        parts.append(
            "Student's t intervals assume normal differences; each is for one comparison alone, "
            "not corrected. p flip: sign-flip test, p rank: Wilcoxon's, both two-sided "
            "and after Holm's correction over the comparisons of the dataset; * p flip at most .05."
        )
        if comparison.baseline:
            parts.append(
                "The correction holds for a baseline that was chosen before the values were seen."
            )
    if any(not pair.is_tested for entry in comparison.datasets for pair in entry.pairs):
        parts.append("–: not tested.")
    if comparison.references and not comparison.note:
        parts.append("(ref.): a bound, not a student; tested only if requested.")
    if comparison.at_bound:
        parts.append(f"{capitalised(comparison.at_bound)}.")
    return " ".join([*parts, comparison.note]).rstrip()


def _columns_legend(comparison: Comparison) -> str:
    better = comparison.metric.better
    sides = "is better, equal, worse" if better else "is above, equal, below"
    direction = f": {better} is better" if better else ""
    improvement = (
        "P: probability that one of its runs is better than one of the other's, of any seed; "
        if better
        else ""
    )
    return (
        f"{comparison.metric}{direction}. Means are of paired differences (same teacher and seed), "
        "the method's value minus the other's; d_z: Cohen's, with Hedges' correction; "
        f"{improvement}W/T/L: seeds on which the method {sides}."
    )
