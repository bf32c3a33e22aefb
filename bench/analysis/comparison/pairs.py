"""Two methods compared on the same seeds: the figures that belong to one pair."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from distillation_bench.bench.analysis.statistics import (
    ALPHA,
    Interval,
    effect_size,
    holm,
    paired_interval,
    probability_of_improvement,
    sign_flip_p,
    tolerance,
    wilcoxon_p,
)
from distillation_bench.bench.metrics.outcome import Array


class Test(NamedTuple):
    """A two-sided p-value, as it is and after Holm's correction."""

    p: float
    adjusted: float = math.nan


NOT_TESTED = Test(math.nan)


@dataclass(frozen=True)
class Pair:
    """Two methods on the seeds that both have under the same teachers; or on datasets' means.

    Attributes:
        first, second: labels; a difference is the first's figure minus the second's.
        differences: [n], in the order of `over`.
        over: seeds, or names of datasets.
        interval: of the mean difference, 95 %, Student's t.
        effect: Cohen's d_z with Hedges' correction; nan where n < 3 or all differences are equal.
        improvement: probability that a run of the first is better than one of the second, of any
            seeds; nan for a metric without a direction.
        wins, ties, losses: how often the first is better, equal, worse; above, equal, below for a
            metric without a direction.
        sign_flip, wilcoxon: tests of no difference; nan where there is none.
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
    sign_flip: Test
    wilcoxon: Test

    @property
    def n(self) -> int:
        """Pairs of figures."""
        return len(self.differences)

    @property
    def is_tested(self) -> bool:
        """Whether it belongs to the family of tests."""
        return not math.isnan(self.sign_flip.p)

    @property
    def is_told_apart(self) -> bool:
        """Whether the sign-flip test, after Holm's correction, gives at most .05."""
        return self.sign_flip.adjusted <= ALPHA


def make_pair(
    names: tuple[str, str], first: Array, second: Array, over: Sequence[int | str], better: str
) -> Pair:
    """Compare two methods' figures [n] of the same seeds; p-values are still uncorrected."""
    sign = -1 if better == "lower" else 1
    differences = first - second
    gains, equal = sign * differences, tolerance(differences)
    return Pair(
        *names,
        tuple(differences.tolist()),
        tuple(over),
        paired_interval(differences),
        effect_size(differences),
        probability_of_improvement(sign * first, sign * second) if better else math.nan,
        int((gains > equal).sum()),
        int((np.abs(gains) <= equal).sum()),
        int((gains < -equal).sum()),
        Test(sign_flip_p(differences)),
        Test(wilcoxon_p(differences)),
    )


def untested(pair: Pair) -> Pair:
    """The same without p-values: it is shown, and no comparison of the family."""
    return replace(pair, sign_flip=NOT_TESTED, wilcoxon=NOT_TESTED)


def corrected(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """Pairs with Holm's correction over those that are tested, each test apart."""
    flips = corrected_tests([pair.sign_flip.p for pair in pairs])
    ranks = corrected_tests([pair.wilcoxon.p for pair in pairs])
    return tuple(
        replace(pair, sign_flip=flip, wilcoxon=rank)
        for pair, flip, rank in zip(pairs, flips, ranks, strict=True)
    )


def corrected_tests(ps: Sequence[float]) -> list[Test]:
    """Tests with Holm's correction over all of them."""
    return [Test(p, adjusted) for p, adjusted in zip(ps, holm(ps), strict=True)]


def pairs_of(labels: Sequence[str], baseline: str) -> list[tuple[str, str]]:
    """What is compared with what: all with the baseline, or each with those before it."""
    if baseline:
        return [(label, baseline) for label in labels if label != baseline]
    return [(first, second) for i, second in enumerate(labels) for first in labels[i + 1 :]]
