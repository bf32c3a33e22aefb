"""Pairs of methods on one dataset; over datasets, where each counts once; and over all seeds."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from distillation_bench.bench.analysis import statistics
from distillation_bench.bench.analysis.statistics import ALPHA, holm

DATASETS_NEEDED = 5
PAIR_COLUMNS = [
    *("dataset", "first", "second", "mean", "low", "high", "effect", "improvement", "wins", "ties"),
    *("losses", "n", "p", "p_holm", "p_rank", "p_rank_holm", "tested", "distinguishable"),
    *("seeds", "differences"),
]
POOLED_COLUMNS = ("first", "second", "datasets", "n", "scaled_mean", "agreeing", "p")


class NotComparable(Exception):
    """Datasets cannot be compared; the message is the reason in a few words."""


def compare_on_dataset(
    table: pd.DataFrame, labels: Sequence[str], baseline: str, better: str, rivals: Collection[str]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Compare labels on the rows of `pairing.paired_values` that both labels of a pair have.

    Returns:
        Rows for `pair_table`, of which pairs of rivals are tested; and the pairs without a row in
        common, each with the reason.
    """
    columns = {label: table[label].to_numpy() for label in labels}
    seeds = table.index.get_level_values(0).to_numpy()
    rows, not_paired = [], []
    for first, second in _pairs(labels, baseline):
        has = [np.isfinite(columns[label]) for label in (first, second)]
        both = has[0] & has[1]
        if both.any():
            a, b = (columns[label][both] for label in (first, second))
            row = _compare_pair(a, b, better, first in rivals and second in rivals)
            rows.append({"first": first, "second": second, **row, "seeds": tuple(seeds[both])})
        else:
            is_common = set(seeds[has[0]]) & set(seeds[has[1]])
            reason = "other teachers or sets" if is_common else "no seed in common"
            not_paired.append(f"{first} and {second}: {reason}")
    return rows, not_paired


def _pairs(labels: Sequence[str], baseline: str) -> list[tuple[str, str]]:
    """Return all others with the baseline, or each label with those before it."""
    if baseline:
        return [(label, baseline) for label in labels if label != baseline]
    return [(first, second) for i, second in enumerate(labels) for first in labels[i + 1 :]]


def _compare_pair(
    first: np.ndarray, second: np.ndarray, better: str, tested: bool = True
) -> dict[str, Any]:
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


def pair_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return pairs as `Comparison.pairs`; the tests of each dataset are a family for Holm."""
    pairs = pd.DataFrame(rows, columns=PAIR_COLUMNS)
    for test in ("p", "p_rank"):
        pairs[f"{test}_holm"] = pairs.groupby("dataset")[test].transform(holm)
    pairs["distinguishable"] = pairs["p_holm"] <= ALPHA
    return pairs.astype({"tested": bool})


@dataclass(frozen=True, eq=False)
class AcrossDatasets:
    """Methods ranked over N datasets; each dataset is one block, the mean over its seeds.

    Attributes:
        seeds: by dataset, the seeds that all methods have.
        ranks: `label` and average `rank` of the methods that are complete on all datasets, best
            first; 1 is best.
        friedman: p-value of Friedman's test that no method differs from another.
        nemenyi: corrected p-values of each pair, by label.
        critical_difference: of average ranks, at .05.
        groups: labels that are not statistically distinguishable, for the diagram: by Nemenyi's
            test the largest groups only; all labels if Friedman's test finds no difference.
        pairs: as `Comparison.pairs`, of the datasets' means; without averages over datasets, whose
            values may differ in size or unit.
    """

    seeds: Mapping[str, tuple[int, ...]]
    ranks: pd.DataFrame
    friedman: float
    nemenyi: pd.DataFrame
    critical_difference: float
    groups: tuple[tuple[str, ...], ...]
    pairs: pd.DataFrame


def compare_across_datasets(
    tables: Mapping[str, pd.DataFrame], labels: Sequence[str], baseline: str, better: str
) -> AcrossDatasets:
    """Rank complete methods by their means over seeds, and test the differences.

    Args:
        tables: by dataset, see `pairing.paired_values`.
        labels, baseline, better: as for `compare_on_dataset`; labels of complete methods.

    Raises:
        NotComparable: fewer than five datasets, no direction, or no seeds that all methods have.
    """
    _check(len(tables), labels, baseline, better)
    shared = {dataset: table[list(labels)].dropna() for dataset, table in tables.items()}
    if empty := [dataset for dataset, table in shared.items() if table.empty]:
        raise NotComparable(f"no seed and teacher on {empty[0]} that all methods have")
    means = pd.DataFrame({dataset: table.mean() for dataset, table in shared.items()}).T
    losses = means.to_numpy() * (-1 if better == "higher" else 1)
    ranks = pd.Series(statistics.average_ranks(losses), labels).sort_values(kind="stable")
    difference = statistics.critical_difference(len(labels), len(shared))
    friedman = statistics.friedman_p(losses)
    groups = _rank_groups(ranks, difference) if friedman <= ALPHA else (tuple(ranks.index),)
    nemenyi = pd.DataFrame(statistics.nemenyi_p(ranks, len(shared)), ranks.index, ranks.index)
    rows = [
        {"dataset": "", "first": a, "second": b}
        | _compare_pair(means[a].to_numpy(), means[b].to_numpy(), better)
        | dict.fromkeys(("mean", "low", "high", "effect", "improvement"), math.nan)
        for a, b in _pairs(labels, baseline)
    ]
    return AcrossDatasets(
        {dataset: tuple(rows.index.get_level_values(0)) for dataset, rows in shared.items()},
        ranks.rename_axis("label").reset_index(name="rank"),
        *(friedman, nemenyi, difference, groups),
        pair_table(rows),
    )


def _check(datasets: int, labels: Sequence[str], baseline: str, better: str) -> None:
    if datasets < DATASETS_NEEDED:
        count = "is 1" if datasets == 1 else f"are {datasets}"
        raise NotComparable(f"it needs {DATASETS_NEEDED} datasets, here {count}")
    if not better:
        raise NotComparable("the metric has no better direction")
    if baseline and baseline not in labels:
        raise NotComparable(f"the baseline {baseline} is incomplete")
    if len(labels) < 2:
        raise NotComparable("fewer than two methods are complete on all datasets")


def _rank_groups(ranks: pd.Series, difference: float) -> tuple[tuple[str, ...], ...]:
    """Return the largest groups of at least two labels whose ranks, in order, are that close."""
    groups, reached = [], 0
    for start, rank in enumerate(ranks):
        stop = int(ranks.searchsorted(rank + difference, side="right"))
        if stop > max(reached, start + 1):
            groups.append(tuple(ranks.index[start:stop]))
            reached = stop
    return tuple(groups)


def pool_datasets(pairs: pd.DataFrame) -> pd.DataFrame:
    """Test each pair on all its datasets together: a statement on exactly these datasets.

    The differences of a dataset are divided by their root mean square, so that no dataset dominates
    the others. Flipping signs does not change it, so the test stays exact. The mean of the scaled
    differences need not have the sign of the mean difference on each dataset.

    Returns:
        For each pair of `Comparison.pairs` that is tested on several datasets: `first`, `second`,
        `datasets`, `n` (differences on all of them), `scaled_mean`, `agreeing` (datasets whose mean
        difference has its sign), `p` and `p_holm` of the sign-flip test.
    """
    tested = pairs[pairs["tested"]]
    repeated = tested[tested.duplicated(["first", "second"], keep=False)]
    groups = repeated.groupby(["first", "second"], sort=False)
    table = pd.DataFrame([_pooled(*group) for group in groups], columns=POOLED_COLUMNS)
    return table.assign(p_holm=np.array(holm(table["p"])))


def _pooled(names: Iterable[str], group: pd.DataFrame) -> tuple[object, ...]:
    parts = map(np.array, group["differences"])
    scaled = np.concatenate([part / (np.sqrt((part**2).mean()) or 1.0) for part in parts])
    agreeing = int((np.sign(group["mean"]) == np.sign(scaled.mean())).sum())
    p, mean = statistics.sign_flip_p(scaled), float(scaled.mean())
    return (*names, tuple(group["dataset"]), len(scaled), mean, agreeing, p)
