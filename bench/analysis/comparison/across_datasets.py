"""Methods compared over datasets, where each dataset counts once; and pooled over all seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from distillation_bench.bench.analysis.comparison.blocks import Blocks, gaps_text
from distillation_bench.bench.analysis.comparison.pairs import (
    Pair,
    Test,
    corrected,
    corrected_tests,
    make_pair,
    pairs_of,
)
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
    """Methods over datasets, each dataset one block: the mean over its seeds.

    Attributes:
        seeds: by dataset, those that all methods have; N blocks.
        labels: k methods that are complete on all of them, best average rank first.
        ranks: average ranks [k], 1 is best.
        friedman: p of no difference between any of them.
        nemenyi: corrected p [k, k] of each pair.
        critical_difference: of average ranks, at .05.
        groups: labels that are not told apart, for the diagram: by Nemenyi's test, the largest
            only; all in one where Friedman's finds no difference.
        pairs: compared on the datasets' means; without averages over datasets, whose figures need
            not be of one size or unit.
    """

    seeds: Mapping[str, tuple[int, ...]]
    labels: tuple[str, ...]
    ranks: tuple[float, ...]
    friedman: float
    nemenyi: Array
    critical_difference: float
    groups: tuple[tuple[str, ...], ...]
    pairs: tuple[Pair, ...]


class Pooled(NamedTuple):
    """A pair tested on all its seeds of all datasets: a statement on exactly these datasets.

    A dataset's differences are divided by their root mean square, so that none drowns the others;
    flips of signs leave it as it is, so the test stays exact. The mean of what is scaled so need
    not have the sign of the mean difference on each dataset.

    Attributes:
        datasets: on which both have figures.
        n: differences on all of them.
        scaled_mean: of the scaled differences.
        agreeing: datasets on which the mean difference has the same sign.
    """

    first: str
    second: str
    datasets: tuple[str, ...]
    n: int
    scaled_mean: float
    agreeing: int
    sign_flip: Test


class Incomplete(Exception):
    """Why there is no comparison over datasets, in a few words."""


def left_out(blocks: Blocks, datasets: Sequence[str], labels: Sequence[str]) -> dict[str, str]:
    """Labels that lack something on one of the datasets, with what it is."""
    found: dict[str, str] = {}
    for dataset in datasets:
        gaps, usable = blocks.gaps(dataset), set(blocks.usable(dataset))
        for label in labels:
            if label in gaps:
                found.setdefault(label, f"{gaps_text(gaps[label])} on {dataset}")
            elif label not in usable:
                found.setdefault(label, f"missing on {dataset}")
    return found


def over_datasets(
    blocks: Blocks, datasets: Sequence[str], labels: Sequence[str], baseline: str, better: str
) -> AcrossDatasets:
    """Rank complete methods on the means over seeds, and test them.

    Args:
        blocks: the figures.
        datasets: each once, since each counts as one.
        labels: of complete methods.
        baseline: that all others are compared with; else all pairs are.
        better: direction of the metric.

    Raises:
        Incomplete: fewer than five datasets, no direction, or no seeds that all have.
    """
    assert len(set(datasets)) == len(datasets), "a dataset is no evidence twice"
    if len(datasets) < DATASETS_NEEDED:
        raise Incomplete(f"it needs {DATASETS_NEEDED} datasets, here {_are(len(datasets))}")
    if not better:
        raise Incomplete("the metric has no better direction")
    if baseline and baseline not in labels:
        raise Incomplete(f"the baseline {baseline} is incomplete")
    if len(labels) < 2:
        raise Incomplete("fewer than two methods are complete on all datasets")
    keys = {dataset: blocks.shared(dataset, labels) for dataset in datasets}
    for dataset, shared in keys.items():
        if not shared:
            raise Incomplete(f"no seed and teacher on {dataset} that all methods have")
    means = np.array(
        [[blocks.values(d, label, keys[d]).mean() for label in labels] for d in datasets]
    )
    sign = -1 if better == "higher" else 1
    ranks = average_ranks(sign * means)
    order = ranks.argsort(kind="stable")
    ranked = tuple(labels[i] for i in order)
    apart = critical_difference(len(labels), len(datasets), ALPHA)
    columns = dict(zip(labels, means.T, strict=True))
    friedman = friedman_p(sign * means)
    pairs = [
        replace(
            make_pair((a, b), columns[a], columns[b], datasets, better),
            interval=Interval(math.nan, math.nan, math.nan),
            effect=math.nan,
            improvement=math.nan,
        )
        for a, b in pairs_of(labels, baseline)
    ]
    return AcrossDatasets(
        {dataset: tuple(seed for seed, _ in shared) for dataset, shared in keys.items()},
        ranked,
        tuple(ranks[order].tolist()),
        friedman,
        nemenyi_p(ranks[order], len(datasets)),
        apart,
        groups(ranked, ranks[order], apart) if friedman <= ALPHA else (ranked,),
        corrected(pairs),
    )


def _are(number: int) -> str:
    return "is 1" if number == 1 else f"are {number}"


def groups(labels: Sequence[str], ranks: Array, apart: float) -> tuple[tuple[str, ...], ...]:
    """The largest runs of at least two labels, in order of rank, that lie within a difference."""
    found: list[tuple[str, ...]] = []
    reached = 0
    for start in range(len(labels)):
        stop = int(np.searchsorted(ranks, ranks[start] + apart, side="right"))
        if stop > max(reached, start + 1):
            found.append(tuple(labels[start:stop]))
            reached = stop
    return tuple(found)


def pooled(pairs: Mapping[str, Sequence[Pair]]) -> tuple[Pooled, ...]:
    """Test pairs on all datasets together, those that are on at least two of them.

    Args:
        pairs: by dataset.
    """
    found: dict[tuple[str, str], dict[str, Array]] = {}
    for dataset, on_it in pairs.items():
        for pair in on_it:
            differences = np.array(pair.differences)
            found.setdefault((pair.first, pair.second), {})[dataset] = differences
    several = {names: parts for names, parts in found.items() if len(parts) > 1}
    joined = [np.concatenate([*map(_scaled, parts.values())]) for parts in several.values()]
    tests = corrected_tests([sign_flip_p(each) for each in joined])
    return tuple(
        Pooled(
            *names,
            tuple(parts),
            len(scaled),
            float(scaled.mean()),
            sum(np.sign(each.mean()) == np.sign(scaled.mean()) for each in parts.values()),
            test,
        )
        for (names, parts), scaled, test in zip(several.items(), joined, tests, strict=True)
    )


def _scaled(differences: Array) -> Array:
    return differences / (float(np.sqrt((differences**2).mean())) or 1.0)
