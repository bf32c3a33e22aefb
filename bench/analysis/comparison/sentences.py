"""A comparison in sentences that can be defended: who is better, by how much, on what evidence."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from distillation_bench.bench.analysis.comparison.blocks import gaps_text
from distillation_bench.bench.analysis.comparison.pairs import Pair
from distillation_bench.bench.analysis.statistics import ALPHA, seeds_needed, smallest_p

if TYPE_CHECKING:
    from distillation_bench.bench.analysis.comparison.across_datasets import AcrossDatasets, Pooled
    from distillation_bench.bench.analysis.comparison.method_comparison import Comparison, OnDataset
    from distillation_bench.bench.analysis.results import MetricInfo

SPELLED_OUT = 3
"""So many differences of a dataset get a sentence each."""


def in_words(comparison: Comparison) -> list[str]:
    """A few sentences for each dataset, then one about all datasets together."""
    on_each = [" ".join(_of_dataset(entry, comparison.metric)) for entry in comparison.datasets]
    on_each += chance_words(comparison)
    across = over_datasets_words(comparison)
    if comparison.note:
        return [comparison.note, *on_each, across] if comparison.is_tested else [comparison.note]
    return [*on_each, across]


def _of_dataset(entry: OnDataset, metric: MetricInfo) -> Iterator[str]:
    tested = entry.tested
    told = sorted((p for p in tested if p.is_told_apart), key=lambda p: p.sign_flip.adjusted)
    comparisons = counted(len(tested), "comparison")
    if not tested or entry.seeds_needed:
        yield f"On {entry.dataset}, {power_words(entry.n, len(tested), 'seed')}"
    elif not told:
        least = min(pair.sign_flip.adjusted for pair in tested)
        found = p_words(least)
        yield (
            f"On {entry.dataset}, {comparisons} of {metric} at {counted(entry.n, 'seed')} tell "
            f"nothing apart (the smallest {found} after Holm)."
        )
    for pair in told[:SPELLED_OUT]:
        yield f"On {entry.dataset}, {_difference(pair, metric, len(tested))}"
    if told:
        more, rest = max(len(told) - SPELLED_OUT, 0), len(tested) - len(told)
        if more:
            yield f"{counted(more, 'more comparison')} reach .05."
        if rest:
            yield f"{rest} of {comparisons} tell nothing apart."
    if missing := missing_words(entry):
        yield missing


def _difference(pair: Pair, metric: MetricInfo, comparisons: int) -> str:
    mean, low, high = pair.interval
    if mean < 0:
        mean, low, high = -mean, -high, -low
    places = decimals(high - low)
    return (
        f"{ordered(pair.first, pair.second, pair.interval.mean, metric)} by {mean:.{places}f} "
        f"(95 % interval {low:.{places}f} to {high:.{places}f}, n = {counted(pair.n, 'seed')}; "
        f"sign-flip {p_words(pair.sign_flip.adjusted)} after Holm over "
        f"{counted(comparisons, 'comparison')})."
    )


def ordered(first: str, second: str, difference: float, metric: MetricInfo) -> str:
    """`a has a lower (better) nll than b`: the better method first, the lower one if none is."""
    found = metric.better or "lower"
    if (difference < 0) != (found == "lower"):
        first, second = second, first
    note = " (better)" if metric.better else ""
    return f"{first} has a {found}{note} {metric} than {second}"


def power_words(n: int, comparisons: int, unit: str) -> str:
    """Why no test can reach .05, and what would be needed; for n seeds or datasets."""
    if not comparisons:
        return "nothing is tested: no two students."
    needed = f"{counted(seeds_needed(comparisons), unit)} would be needed."
    family, least = counted(comparisons, "comparison"), smallest_p(n)
    if least > ALPHA:
        return (
            f"with {counted(n, unit)} no sign-flip or Wilcoxon test can reach .05: the smallest "
            f"possible p is {p_text(least).rstrip('0')}; with {family} {needed}"
        )
    return (
        f"with {counted(n, unit)} the {p_words(least, 'smallest possible p')}, but after Holm's "
        f"correction over {family} {p_words(min(1.0, comparisons * least))}: no sign-flip or "
        f"Wilcoxon test can reach .05; {needed}"
    )


def missing_words(entry: OnDataset) -> str:
    """What is left out of a dataset's comparisons; empty if nothing is."""
    parts = [f"{label}: {gaps_text(gaps)}" for label, gaps in entry.gaps.items()]
    parts += [f"{pair}, not paired" for pair in entry.refused]
    return f"Left out: {'; '.join(parts)}." if parts else ""


def chance_words(comparison: Comparison) -> list[str]:
    """Where the teacher itself detects worse than chance, or nobody knows; a sentence a dataset."""
    metric = comparison.metric
    left_out = [
        f"On {dataset}, {metric} is not compared: {why}, so none is better."
        for dataset, why in comparison.below_chance.items()
    ]
    return left_out + [f"On {name}, {metric}: {why}." for name, why in comparison.unjudged.items()]


def over_datasets_words(comparison: Comparison) -> str:
    """What holds beyond single datasets, or why nothing is said."""
    across = comparison.across
    if across is None:
        return f"Across datasets nothing is tested: {comparison.no_across}."
    labels, n = across.labels, len(across.seeds)
    ranks = ", ".join(
        f"{label} {rank:.2f}" for label, rank in zip(labels, across.ranks, strict=True)
    )
    if across.friedman > ALPHA:
        found, nemenyi = "can't be told apart", ""
    else:
        found, nemenyi = "differ", f"; {_nemenyi(across)}"
    return (
        f"Across {counted(n, 'dataset')}, {len(labels)} methods {found} in {comparison.metric} "
        f"(Friedman's {p_words(across.friedman)}). Average ranks, 1 is best: {ranks}{nemenyi}."
    )


def _nemenyi(across: AcrossDatasets) -> str:
    labels = across.labels
    pairs = [
        f"{labels[i]} and {labels[j]}"
        for i in range(len(labels))
        for j in range(i + 1, len(labels))
        if across.nemenyi[i, j] <= ALPHA
    ]
    more = f" and {len(pairs) - SPELLED_OUT} more" if len(pairs) > SPELLED_OUT else ""
    which = f": {', '.join(pairs[:SPELLED_OUT])}{more}" if pairs else "; none are"
    distance = f"{across.critical_difference:.2f}"
    return f"by Nemenyi's test average ranks at least {distance} apart differ{which}"


def pooled_words(comparison: Comparison) -> str:
    """What the seeds of all datasets together show on exactly these datasets."""
    tests = comparison.pooled
    if not tests:
        return ""
    all_of_them = tuple(entry.dataset for entry in comparison.datasets)
    told = [each for each in tests if each.sign_flip.adjusted <= ALPHA]
    told.sort(key=lambda each: each.sign_flip.adjusted)
    parts = [_pooled_part(each, comparison.metric, all_of_them) for each in told[:SPELLED_OUT]]
    if len(told) > SPELLED_OUT:
        parts.append(f"and {len(told) - SPELLED_OUT} more")
    found = "; ".join(parts) or "nothing is told apart"
    return (
        f"On exactly these datasets ({', '.join(all_of_them)}), seeds pooled, in differences "
        "scaled by each dataset's root mean square, sign-flip after Holm over "
        f"{counted(len(tests), 'comparison')}: {found}. It says nothing about other datasets."
    )


def _pooled_part(test: Pooled, metric: MetricInfo, all_of_them: tuple[str, ...]) -> str:
    first, second, mean = test.first, test.second, test.scaled_mean
    if (mean < 0) != (metric.better != "higher"):
        first, second = second, first
    what = "better" if metric.better else "lower"
    on = len(test.datasets) if test.datasets == all_of_them else ", ".join(test.datasets)
    return (
        f"{first} is {what} than {second} in standardised differences of {metric}, by "
        f"{abs(mean):.2f} (n = {test.n} on {on}; {p_words(test.sign_flip.adjusted)}; its mean is "
        f"{what} on {test.agreeing} of {len(test.datasets)} datasets)"
    )


def counted(n: int, noun: str) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def p_text(p: float) -> str:
    """`.250`, `<.001`, `1`; a dash where there is none."""
    if math.isnan(p):
        return "–"
    if p < 0.001:
        return "<.001"
    return "1" if p >= 0.9995 else f"{p:.3f}"[1:]


def p_words(p: float, name: str = "p") -> str:
    """`p = .25` or `p < .001`."""
    text = p_text(p)
    return f"{name} < .001" if text == "<.001" else f"{name} = {text.rstrip('0')}"


def decimals(scale: float) -> int:
    """Places after the point that show two digits of something of this size."""
    if not scale > 0 or math.isinf(scale):
        return 3
    return min(max(1 - math.floor(math.log10(scale)), 0), 9)
