"""Two methods on the same seeds: the mean difference, its interval, effect sizes and tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from distillation_bench.bench.analysis.holm import CorrectedP, correct_family
from distillation_bench.bench.analysis.statistics import (
    ALPHA,
    Interval,
    effect_size,
    paired_interval,
    probability_of_improvement,
    sign_flip_p,
    tolerance,
    wilcoxon_p,
)
from distillation_bench.bench.metrics.outcome import Array

NOT_TESTED = CorrectedP(math.nan)


@dataclass(frozen=True)
class MethodPair:
    """Two methods on the seeds that both have under the same teachers, or on datasets' means.

    Attributes:
        first, second: labels; a difference is the first's value minus the second's.
        differences: [n], in the order of `over`.
        over: seeds, or names of datasets.
        interval: mean difference with its 95 % interval by Student's t.
        effect: Cohen's d_z with Hedges' correction; nan for n < 3 or if all differences are equal.
        improvement: probability that a run of the first is better than one of the second, of any
            seeds; nan for a metric without a direction.
        wins, ties, losses: how often the first is better, equal, worse; above, equal, below for a
            metric without a direction.
        sign_flip, wilcoxon: p-values of no difference; nan if the pair is not tested.
    """

    first: str
    second: str
    differences: tuple[float, ...]
    over: tuple[int | str, ...]
    interval: Interval
    effect: float
    improvement: float
    wins: int
    ties: int
    losses: int
    sign_flip: CorrectedP
    wilcoxon: CorrectedP

    @property
    def n(self) -> int:
        """Number of paired values."""
        return len(self.differences)

    @property
    def is_tested(self) -> bool:
        """Whether the pair belongs to the family of tests."""
        return not math.isnan(self.sign_flip.p)

    @property
    def is_distinguishable(self) -> bool:
        """Whether the sign-flip test gives at most .05 after Holm's correction."""
        return self.sign_flip.corrected <= ALPHA


def pairs_to_compare(labels: Sequence[str], baseline: str) -> list[tuple[str, str]]:
    """Return pairs of labels: all with the baseline, else each label with those before it."""
    if baseline:
        return [(label, baseline) for label in labels if label != baseline]
    return [(first, second) for i, second in enumerate(labels) for first in labels[i + 1 :]]


def compare_pair(
    labels: tuple[str, str], first: Array, second: Array, over: Sequence[int | str], better: str
) -> MethodPair:
    """Compare two methods' values [n] of the same seeds; p-values are not corrected yet.

    Args:
        labels: labels of the two methods.
        first, second: values of each of them.
        over: seed, or dataset, of each value.
        better: direction of the metric, "higher", "lower" or empty.
    """
    sign = -1 if better == "lower" else 1
    differences = first - second
    gains, equal = sign * differences, tolerance(differences)
    return MethodPair(
        *labels,
        tuple(differences.tolist()),
        tuple(over),
        paired_interval(differences),
        effect_size(differences),
        probability_of_improvement(sign * first, sign * second) if better else math.nan,
        int((gains > equal).sum()),
        int((np.abs(gains) <= equal).sum()),
        int((gains < -equal).sum()),
        CorrectedP(sign_flip_p(differences)),
        CorrectedP(wilcoxon_p(differences)),
    )


def untested(pair: MethodPair) -> MethodPair:
    """Return a pair without p-values, which is shown but does not belong to the family."""
    return replace(pair, sign_flip=NOT_TESTED, wilcoxon=NOT_TESTED)


def correct_pairs(pairs: Sequence[MethodPair]) -> tuple[MethodPair, ...]:
    """Return pairs with both tests corrected over the family of those that are tested."""
    flips = correct_family([pair.sign_flip.p for pair in pairs])
    ranks = correct_family([pair.wilcoxon.p for pair in pairs])
    return tuple(
        replace(pair, sign_flip=flip, wilcoxon=rank)
        for pair, flip, rank in zip(pairs, flips, ranks, strict=True)
    )
