"""A comparison in sentences: which method is better, by how much, and on what evidence."""

from __future__ import annotations

import math
from collections.abc import Iterator

from distillation_bench.bench.analysis.holm import seeds_needed, smallest_corrected_p
from distillation_bench.bench.analysis.old_comparison.across_datasets import (
    AcrossDatasets,
    PooledTest,
)
from distillation_bench.bench.analysis.old_comparison.method_comparison import Comparison
from distillation_bench.bench.analysis.old_comparison.method_pairs import MethodPair
from distillation_bench.bench.analysis.old_comparison.within_datasets import DatasetComparison
from distillation_bench.bench.analysis.old_missing_cells import describe_seeds
from distillation_bench.bench.analysis.old_results import MetricInfo
from distillation_bench.bench.analysis.statistics import ALPHA, smallest_p
from distillation_bench.bench.common.text import counted

SPELLED_OUT = 3
"""Number of differences of a dataset that get a sentence each."""


def comparison_sentences(comparison: Comparison) -> list[str]:
    """Return a few sentences for each dataset, then one about all datasets together."""
    sentences = [
        " ".join(_dataset_sentences(entry, comparison.metric)) for entry in comparison.datasets
    ]
    sentences += chance_sentences(comparison)
    across = across_sentence(comparison)
    if comparison.note:
        return [comparison.note, *sentences, across] if comparison.is_tested else [comparison.note]
    return [*sentences, across]


def _dataset_sentences(entry: DatasetComparison, metric: MetricInfo) -> Iterator[str]:
    tested = entry.tested
    different = [pair for pair in tested if pair.is_distinguishable]
    different.sort(key=lambda pair: pair.sign_flip.corrected)
    comparisons = counted(len(tested), "comparison")
    if not tested or entry.seeds_needed:
        yield f"On {entry.dataset}, {power_sentence(entry.n, len(tested), 'seed')}"
    elif not different:
        smallest = p_equation(min(pair.sign_flip.corrected for pair in tested))
        yield (
            f"On {entry.dataset}, no methods are statistically distinguishable in {comparisons} of "
            f"{metric} at {counted(entry.n, 'seed')} (the smallest {smallest} after Holm)."
        )
    for pair in different[:SPELLED_OUT]:
        yield f"On {entry.dataset}, {_difference_sentence(pair, metric, len(tested))}"
    if len(different) > SPELLED_OUT:
        yield f"{counted(len(different) - SPELLED_OUT, 'more comparison')} reach .05."
    if different and len(tested) > len(different):
        others = f"{len(tested) - len(different)} of {comparisons}"
        yield f"In {others} the methods are not statistically distinguishable."
    if left_out := left_out_sentence(entry):
        yield left_out


def _difference_sentence(pair: MethodPair, metric: MetricInfo, comparisons: int) -> str:
    mean, low, high = pair.interval
    if mean < 0:
        mean, low, high = -mean, -high, -low
    places = decimals(high - low)
    return (
        f"{better_first(pair.first, pair.second, pair.interval.mean, metric)} by {mean:.{places}f} "
        f"(95 % interval {low:.{places}f} to {high:.{places}f}, n = {counted(pair.n, 'seed')}; "
        f"sign-flip {p_equation(pair.sign_flip.corrected)} after Holm over "
        f"{counted(comparisons, 'comparison')})."
    )


def better_first(first: str, second: str, difference: float, metric: MetricInfo) -> str:
    """Return `a has a lower (better) nll than b`; without a direction the lower one is first."""
    direction = metric.better or "lower"
    if (difference < 0) != (direction == "lower"):
        first, second = second, first
    note = " (better)" if metric.better else ""
    return f"{first} has a {direction}{note} {metric} than {second}"


def power_sentence(n: int, comparisons: int, unit: str) -> str:
    """Return why no test can reach .05, and what would be needed.

    Args:
        n: number of seeds or datasets.
        comparisons: number of tests in the family.
        unit: "seed" or "dataset".
    """
    if not comparisons:
        return "nothing is tested: no two students."
    needed = f"{counted(seeds_needed(comparisons), unit)} would be needed."
    family, least = counted(comparisons, "comparison"), smallest_p(n)
    if least > ALPHA:
        return (
            f"with {counted(n, unit)} no sign-flip or Wilcoxon test can reach .05: the smallest "
            f"possible p is {p_text(least).rstrip('0')}; with {family} {needed}"
        )
    corrected = p_equation(smallest_corrected_p(comparisons, n))
    return (
        f"with {counted(n, unit)} the {p_equation(least, 'smallest possible p')}, but after Holm's "
        f"correction over {family} {corrected}: no sign-flip or "
        f"Wilcoxon test can reach .05; {needed}"
    )


def left_out_sentence(entry: DatasetComparison) -> str:
    """Return what is left out of a dataset's comparisons; empty if nothing is."""
    parts = [f"{label}: {describe_seeds(seeds)}" for label, seeds in entry.unusable.items()]
    parts += [f"{pair}, not paired" for pair in entry.not_paired]
    return f"Left out: {'; '.join(parts)}." if parts else ""


def chance_sentences(comparison: Comparison) -> list[str]:
    """Return where the teacher detects worse than chance, or that is unknown, by dataset."""
    metric = comparison.metric
    below = [
        f"On {dataset}, {metric} is not compared: {why}, so none is better."
        for dataset, why in comparison.below_chance.items()
    ]
    unknown = comparison.chance_unknown.items()
    return below + [f"On {dataset}, {metric}: {why}." for dataset, why in unknown]


def across_sentence(comparison: Comparison) -> str:
    """Return what holds beyond single datasets, or why nothing is said."""
    across = comparison.across
    if across is None:
        return f"Across datasets nothing is tested: {comparison.no_across}."
    pairs = zip(across.labels, across.ranks, strict=True)
    ranks = ", ".join(f"{label} {rank:.2f}" for label, rank in pairs)
    verb, nemenyi = "differ", f"; {_nemenyi_clause(across)}"
    if across.friedman > ALPHA:
        verb, nemenyi = "are not statistically distinguishable", ""
    return (
        f"Across {counted(len(across.seeds), 'dataset')}, {len(across.labels)} methods {verb} in "
        f"{comparison.metric} (Friedman's {p_equation(across.friedman)}). Average ranks, 1 is "
        f"best: {ranks}{nemenyi}."
    )


def _nemenyi_clause(across: AcrossDatasets) -> str:
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


def pooled_sentence(comparison: Comparison) -> str:
    """Return what the seeds of all datasets together show on exactly these datasets."""
    tests = comparison.pooled
    if not tests:
        return ""
    datasets = tuple(entry.dataset for entry in comparison.datasets)
    different = [test for test in tests if test.sign_flip.corrected <= ALPHA]
    different.sort(key=lambda test: test.sign_flip.corrected)
    parts = [_pooled_clause(t, comparison.metric, datasets) for t in different[:SPELLED_OUT]]
    if len(different) > SPELLED_OUT:
        parts.append(f"and {len(different) - SPELLED_OUT} more")
    findings = "; ".join(parts) or "no methods are statistically distinguishable"
    return (
        f"On exactly these datasets ({', '.join(datasets)}), seeds pooled, in differences "
        "scaled by each dataset's root mean square, sign-flip after Holm over "
        f"{counted(len(tests), 'comparison')}: {findings}. It says nothing about other datasets."
    )


def _pooled_clause(test: PooledTest, metric: MetricInfo, datasets: tuple[str, ...]) -> str:
    first, second, mean = test.first, test.second, test.scaled_mean
    if (mean < 0) != (metric.better != "higher"):
        first, second = second, first
    adjective = "better" if metric.better else "lower"
    on = len(test.datasets) if test.datasets == datasets else ", ".join(test.datasets)
    return (
        f"{first} is {adjective} than {second} in standardised differences of {metric}, by "
        f"{abs(mean):.2f} (n = {test.n} on {on}; {p_equation(test.sign_flip.corrected)}; its mean "
        f"is {adjective} on {test.agreeing} of {len(test.datasets)} datasets)"
    )


def capitalised(text: str) -> str:
    """Return text with a capital first letter."""
    return text[:1].upper() + text[1:]


def p_text(p: float) -> str:
    """Return a p-value as `.250`, `<.001` or `1`; a dash for nan."""
    if math.isnan(p):
        return "–"
    if p < 0.001:
        return "<.001"
    return "1" if p >= 0.9995 else f"{p:.3f}"[1:]


def p_equation(p: float, name: str = "p") -> str:
    """Return `p = .25` or `p < .001`."""
    text = p_text(p)
    return f"{name} < .001" if text == "<.001" else f"{name} = {text.rstrip('0')}"


def decimals(scale: float) -> int:
    """Return the number of decimals that show two digits of a value of this size."""
    if not scale > 0 or math.isinf(scale):
        return 3
    return min(max(1 - math.floor(math.log10(scale)), 0), 9)
