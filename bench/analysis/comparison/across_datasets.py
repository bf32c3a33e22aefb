"""Methods compared over datasets, where each dataset counts once, and pooled over all seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from distillation_bench.bench.analysis import statistics
from distillation_bench.bench.analysis.comparison.pairs import (
    NotComparable,
    compare_pair,
    correct_pairs,
    pairs_to_compare,
)
from distillation_bench.bench.analysis.holm import holm
from distillation_bench.bench.analysis.statistics import ALPHA

DATASETS_NEEDED = 5
POOLED_COLUMNS = ("first", "second", "datasets", "n", "scaled_mean", "agreeing", "p")


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
    for dataset, table in shared.items():
        if table.empty:
            raise NotComparable(f"no seed and teacher on {dataset} that all methods have")
    means = pd.DataFrame({dataset: table.mean() for dataset, table in shared.items()}).T
    losses = means.to_numpy() * (-1 if better == "higher" else 1)
    ranks = pd.Series(statistics.average_ranks(losses), labels).sort_values(kind="stable")
    table = ranks.rename_axis("label").reset_index(name="rank")
    difference = statistics.critical_difference(len(labels), len(shared))
    friedman = statistics.friedman_p(losses)
    return AcrossDatasets(
        {dataset: tuple(rows.index.get_level_values(0)) for dataset, rows in shared.items()},
        table,
        friedman,
        pd.DataFrame(statistics.nemenyi_p(ranks, len(shared)), ranks.index, ranks.index),
        difference,
        rank_groups(table, difference) if friedman <= ALPHA else (tuple(table["label"]),),
        _pairs_of_means(means, baseline, better),
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


def _pairs_of_means(means: pd.DataFrame, baseline: str, better: str) -> pd.DataFrame:
    rows = [
        {"first": a, "second": b, **compare_pair(means[a].to_numpy(), means[b].to_numpy(), better)}
        for a, b in pairs_to_compare(list(means), baseline)
    ]
    averages = dict.fromkeys(("mean", "low", "high", "effect", "improvement"), math.nan)
    return correct_pairs(pd.DataFrame(rows).assign(**averages))


def rank_groups(ranks: pd.DataFrame, difference: float) -> tuple[tuple[str, ...], ...]:
    """Return the largest groups of at least two labels whose ranks, in order, are that close."""
    groups, reached = [], 0
    for start, rank in enumerate(ranks["rank"]):
        stop = int(ranks["rank"].searchsorted(rank + difference, side="right"))
        if stop > max(reached, start + 1):
            groups.append(tuple(ranks["label"][start:stop]))
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
    return table.assign(p_holm=np.array(holm(list(table["p"]))))


def _pooled(names: Iterable[str], group: pd.DataFrame) -> tuple[object, ...]:
    parts = map(np.array, group["differences"])
    scaled = np.concatenate([part / (np.sqrt((part**2).mean()) or 1.0) for part in parts])
    agreeing = int((np.sign(group["mean"]) == np.sign(scaled.mean())).sum())
    p, mean = statistics.sign_flip_p(scaled), float(scaled.mean())
    return (*names, tuple(group["dataset"]), len(scaled), mean, agreeing, p)
