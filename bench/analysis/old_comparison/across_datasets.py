"""Methods compared over datasets, where each dataset counts once, and pooled over all seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from distillation_bench.bench.analysis.holm import CorrectedP, correct_family
from distillation_bench.bench.analysis.old_comparison.method_pairs import (
    MethodPair,
    compare_pair,
    correct_pairs,
    pairs_to_compare,
)
from distillation_bench.bench.analysis.old_missing_cells import describe_seeds
from distillation_bench.bench.analysis.old_pairing import PairedValues, PairKey
from distillation_bench.bench.analysis.statistics import (
    ALPHA,
    Interval,
    average_ranks,
    critical_difference,
    friedman_p,
    nemenyi_p,
    sign_flip_p,
)
from distillation_bench.bench.metrics.outcome import Array

DATASETS_NEEDED = 5


@dataclass(frozen=True)
class AcrossDatasets:
    """Methods ranked over N datasets; each dataset is one block, the mean over its seeds.

    Attributes:
        seeds: by dataset, the seeds that all methods have.
        labels: k methods that are complete on all datasets, best average rank first.
        ranks: average ranks [k]; 1 is best.
        friedman: p-value of Friedman's test that no method differs from another.
        nemenyi: corrected p-values [k, k] of each pair.
        critical_difference: of average ranks, at .05.
        groups: labels that are not statistically distinguishable, for the diagram: by Nemenyi's
            test the largest groups only; all labels if Friedman's test finds no difference.
        pairs: comparisons of the datasets' means. They have no average over datasets, because
            values of different datasets may differ in size or unit.
    """

    seeds: Mapping[str, tuple[int, ...]]
    labels: tuple[str, ...]
    ranks: tuple[float, ...]
    friedman: float
    nemenyi: Array
    critical_difference: float
    groups: tuple[tuple[str, ...], ...]
    pairs: tuple[MethodPair, ...]


class PooledTest(NamedTuple):
    """A pair tested on all its seeds of all datasets: a statement on exactly these datasets.

    The differences of a dataset are divided by their root mean square, so that no dataset dominates
    the others. Flipping signs does not change it, so the test stays exact. The mean of the scaled
    differences need not have the sign of the mean difference on each dataset.

    Attributes:
        first, second: labels.
        datasets: datasets on which both have values.
        n: number of differences on all of them.
        scaled_mean: mean of the scaled differences.
        agreeing: number of datasets on which the mean difference has the same sign.
        sign_flip: p-value.
    """

    first: str
    second: str
    datasets: tuple[str, ...]
    n: int
    scaled_mean: float
    agreeing: int
    sign_flip: CorrectedP


class Incomplete(Exception):
    """There is no comparison over datasets; the message is the reason in a few words."""


def incomplete_labels(
    values: PairedValues, datasets: Sequence[str], labels: Sequence[str]
) -> dict[str, str]:
    """Return labels that lack values on one of the datasets, with the first reason."""
    reasons: dict[str, str] = {}
    for dataset in datasets:
        unusable, usable = values.unusable(dataset), set(values.usable_labels(dataset))
        for label in labels:
            if label in unusable:
                reasons.setdefault(label, f"{describe_seeds(unusable[label])} on {dataset}")
            elif label not in usable:
                reasons.setdefault(label, f"missing on {dataset}")
    return reasons


def compare_across_datasets(
    values: PairedValues, datasets: Sequence[str], labels: Sequence[str], baseline: str, better: str
) -> AcrossDatasets:
    """Rank complete methods by their means over seeds, and test the differences.

    Args:
        values: values of the metric.
        datasets: names of datasets, each once, since each counts as one.
        labels: labels of complete methods.
        baseline: label that all others are compared with; empty for all pairs.
        better: direction of the metric.

    Raises:
        Incomplete: fewer than five datasets, no direction, or no seeds that all methods have.
    """
    _check(datasets, labels, baseline, better)
    keys = _shared_keys(values, datasets, labels)
    means = _means(values, keys, labels)
    sign = -1 if better == "higher" else 1
    ranks, friedman = average_ranks(sign * means), friedman_p(sign * means)
    order = ranks.argsort(kind="stable")
    ranked, sorted_ranks = tuple(labels[i] for i in order), ranks[order]
    difference = critical_difference(len(labels), len(datasets), ALPHA)
    return AcrossDatasets(
        {dataset: tuple(seed for seed, _ in shared) for dataset, shared in keys.items()},
        ranked,
        tuple(sorted_ranks.tolist()),
        friedman,
        nemenyi_p(sorted_ranks, len(datasets)),
        difference,
        rank_groups(ranked, sorted_ranks, difference) if friedman <= ALPHA else (ranked,),
        _pairs_of_means(dict(zip(labels, means.T, strict=True)), datasets, baseline, better),
    )


def _check(datasets: Sequence[str], labels: Sequence[str], baseline: str, better: str) -> None:
    assert len(set(datasets)) == len(datasets), "a dataset is named twice"
    if len(datasets) < DATASETS_NEEDED:
        count = "is 1" if len(datasets) == 1 else f"are {len(datasets)}"
        raise Incomplete(f"it needs {DATASETS_NEEDED} datasets, here {count}")
    if not better:
        raise Incomplete("the metric has no better direction")
    if baseline and baseline not in labels:
        raise Incomplete(f"the baseline {baseline} is incomplete")
    if len(labels) < 2:
        raise Incomplete("fewer than two methods are complete on all datasets")


def _shared_keys(
    values: PairedValues, datasets: Sequence[str], labels: Sequence[str]
) -> dict[str, list[PairKey]]:
    keys = {dataset: values.shared(dataset, labels) for dataset in datasets}
    for dataset, shared in keys.items():
        if not shared:
            raise Incomplete(f"no seed and teacher on {dataset} that all methods have")
    return keys


def _means(
    values: PairedValues, keys: Mapping[str, Sequence[PairKey]], labels: Sequence[str]
) -> Array:
    """Return the means [N, k] of each dataset's seeds, for each label."""
    return np.array(
        [
            [values.values(dataset, label, shared).mean() for label in labels]
            for dataset, shared in keys.items()
        ]
    )


def _pairs_of_means(
    means: Mapping[str, Array], datasets: Sequence[str], baseline: str, better: str
) -> tuple[MethodPair, ...]:
    """Compare means over seeds [N] of each label, without averages over datasets."""
    no_interval = Interval(math.nan, math.nan, math.nan)
    pairs = [
        compare_pair((first, second), means[first], means[second], datasets, better)
        for first, second in pairs_to_compare(list(means), baseline)
    ]
    without_averages = [
        replace(pair, interval=no_interval, effect=math.nan, improvement=math.nan) for pair in pairs
    ]
    return correct_pairs(without_averages)


def rank_groups(
    labels: Sequence[str], ranks: Array, difference: float
) -> tuple[tuple[str, ...], ...]:
    """Return the largest groups of at least two labels whose ranks lie within a difference.

    Args:
        labels: labels in order of rank.
        ranks: average ranks [k] in ascending order.
        difference: the critical difference.
    """
    groups: list[tuple[str, ...]] = []
    reached = 0
    for start in range(len(labels)):
        stop = int(np.searchsorted(ranks, ranks[start] + difference, side="right"))
        if stop > max(reached, start + 1):
            groups.append(tuple(labels[start:stop]))
            reached = stop
    return tuple(groups)


def pool_datasets(pairs: Mapping[str, Sequence[MethodPair]]) -> tuple[PooledTest, ...]:
    """Test each pair that is on at least two datasets, on all its datasets together.

    Args:
        pairs: tested pairs by dataset.
    """
    by_labels: dict[tuple[str, str], dict[str, Array]] = {}
    for dataset, on_dataset in pairs.items():
        for pair in on_dataset:
            differences = by_labels.setdefault((pair.first, pair.second), {})
            differences[dataset] = np.array(pair.differences)
    repeated = {labels: parts for labels, parts in by_labels.items() if len(parts) > 1}
    scaled = [np.concatenate([*map(_scaled, parts.values())]) for parts in repeated.values()]
    tests = correct_family([sign_flip_p(differences) for differences in scaled])
    return tuple(
        _pooled_test(labels, parts, differences, test)
        for (labels, parts), differences, test in zip(repeated.items(), scaled, tests, strict=True)
    )


def _pooled_test(
    labels: tuple[str, str], parts: Mapping[str, Array], scaled: Array, test: CorrectedP
) -> PooledTest:
    mean = scaled.mean()
    agreeing = sum(np.sign(part.mean()) == np.sign(mean) for part in parts.values())
    return PooledTest(*labels, tuple(parts), len(scaled), float(mean), agreeing, test)


def _scaled(differences: Array) -> Array:
    return differences / (float(np.sqrt((differences**2).mean())) or 1.0)
