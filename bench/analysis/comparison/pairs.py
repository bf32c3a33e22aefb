"""Two methods on the same seeds: the mean difference, its interval, effect sizes and tests."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd

from distillation_bench.bench.analysis import statistics
from distillation_bench.bench.analysis.holm import holm
from distillation_bench.bench.analysis.statistics import ALPHA


class NotComparable(Exception):
    """Nothing can be compared; the message is the reason in a few words."""


def pairs_to_compare(labels: Sequence[str], baseline: str) -> list[tuple[str, str]]:
    """Return all others with the baseline, or each label with those before it."""
    if baseline:
        return [(label, baseline) for label in labels if label != baseline]
    return [(first, second) for i, second in enumerate(labels) for first in labels[i + 1 :]]


def compare_on_dataset(
    table: pd.DataFrame, labels: Sequence[str], baseline: str, better: str, rivals: Collection[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Compare labels on the rows of `pairing.paired_values` that both labels of a pair have.

    Pairs of rivals are tested: they are the family of Holm's correction.

    Returns:
        The columns of `Comparison.pairs` but `dataset`; and the pairs without a row in common, each
        with the reason.

    Raises:
        NotComparable: no pair has a row in common.
    """
    columns = {label: table[label].to_numpy() for label in labels}
    seeds = table.index.get_level_values(0).to_numpy()
    rows, not_paired = [], []
    for first, second in pairs_to_compare(labels, baseline):
        has = [np.isfinite(columns[label]) for label in (first, second)]
        both = has[0] & has[1]
        if both.any():
            a, b = (columns[label][both] for label in (first, second))
            row = compare_pair(a, b, better, first in rivals and second in rivals)
            rows.append({"first": first, "second": second, **row, "seeds": tuple(seeds[both])})
        else:
            is_common = set(seeds[has[0]]) & set(seeds[has[1]])
            reason = "other teachers or sets" if is_common else "no seed in common"
            not_paired.append(f"{first} and {second}: {reason}")
    if not rows:
        raise NotComparable(f"nothing is paired: {not_paired[0]}")
    return correct_pairs(pd.DataFrame(rows)), not_paired


def compare_pair(
    first: np.ndarray, second: np.ndarray, better: str, tested: bool = True
) -> dict[str, Any]:
    """Return the statistics of the differences of paired values [n], by column of a pair."""
    sign = -1 if better == "lower" else 1
    differences = first - second
    gains, equal = sign * differences, statistics.tolerance(differences)
    improvement = statistics.probability_of_improvement(sign * first, sign * second)
    return {
        **statistics.paired_interval(differences)._asdict(),
        "effect": statistics.effect_size(differences),
        "improvement": improvement if better else math.nan,
        "wins": int((gains > equal).sum()),
        "ties": int((np.abs(gains) <= equal).sum()),
        "losses": int((gains < -equal).sum()),
        "n": len(differences),
        "p": statistics.sign_flip_p(differences) if tested else math.nan,
        "p_rank": statistics.wilcoxon_p(differences) if tested else math.nan,
        "tested": tested,
        "differences": tuple(differences.tolist()),
    }


def correct_pairs(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return pairs with both tests corrected over the family of those that are tested."""
    corrected = pairs.assign(p_holm=holm(list(pairs["p"])), p_rank_holm=holm(list(pairs["p_rank"])))
    return corrected.assign(distinguishable=corrected["p_holm"] <= ALPHA)
