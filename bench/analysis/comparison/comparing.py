"""Pairs on each dataset and across datasets, of one metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.analysis.comparison.across import (
    Across,
    Incomplete,
    Pooled,
    left_out,
    over_datasets,
    pooled,
)
from bench.analysis.comparison.blocks import Blocks, Gaps, gaps_text
from bench.analysis.comparison.pairs import ALPHA, Pair, corrected, make_pair, pairs_of
from bench.analysis.results import Metric, Results
from bench.analysis.statistics import seeds_needed, smallest_p
from bench.errors import UsageError, nearest

DEFAULT_METRIC = "nll"
"""Every task has it, and it is a proper score of the whole predictive distribution."""


@dataclass(frozen=True)
class OnDataset:
    """One dataset's comparisons: the family of Holm's correction.

    Attributes:
        dataset: its name.
        pairs: that were compared.
        gaps: by label, what can't be used.
        refused: pairs that have no seed under the same teacher, each in words.
    """

    dataset: str
    pairs: tuple[Pair, ...]
    gaps: Mapping[str, Gaps]
    refused: tuple[str, ...]

    @property
    def n(self) -> int:
        """Seeds of the pair that has most."""
        return max(pair.n for pair in self.pairs)

    @property
    def least_p(self) -> float:
        """The smallest p that so many seeds and comparisons allow after Holm's correction."""
        return min(1.0, len(self.pairs) * smallest_p(self.n))

    @property
    def seeds_needed(self) -> int:
        """With which one of so many comparisons could reach .05; 0 if these are enough."""
        return 0 if self.least_p <= ALPHA else seeds_needed(len(self.pairs))


@dataclass(frozen=True)
class Comparison:
    """What `compare` says about one metric.

    Attributes:
        metric: what is compared.
        baseline: that all others are compared with; empty for all pairs.
        references: labels that are no students.
        datasets: one entry each.
        absent: datasets on which nothing could be compared, with the reason.
        across: over datasets, or None.
        no_across: why not.
        incomplete: labels left out over datasets, with the reason.
        pooled: on exactly these datasets.
    """

    metric: Metric
    baseline: str
    references: frozenset[str]
    datasets: tuple[OnDataset, ...]
    absent: Mapping[str, str]
    across: Across | None
    no_across: str
    incomplete: Mapping[str, str]
    pooled: tuple[Pooled, ...]


def compare(
    results: Results,
    metric: str = DEFAULT_METRIC,
    baseline: str = "",
    datasets: Sequence[str] = (),
    labels: Sequence[str] = (),
) -> Comparison:
    """Compare methods in one metric; see `compare_all`."""
    return compare_all(results, [metric], baseline, datasets, labels)[0]


def compare_all(
    results: Results,
    metrics: Sequence[str],
    baseline: str = "",
    datasets: Sequence[str] = (),
    labels: Sequence[str] = (),
) -> list[Comparison]:
    """Compare methods, paired by dataset, teacher and seed.

    Args:
        results: of one run or several.
        metrics: selectors, see `Results.metric`.
        baseline: a label that all others are compared with; else all pairs are.
        datasets: only these.
        labels: only these and the baseline, each a label or a method, which is all its variants.

    Raises:
        UsageError: a name is unknown, or nothing can be compared.
    """
    for name in datasets:
        if name not in results.datasets:
            raise UsageError(f"dataset {name}: not in the run{nearest(name, results.datasets)}")
    parsed = [results.metric(each) for each in dict.fromkeys(metrics)]
    baseline = _the_one(baseline, results) if baseline else ""
    chosen = _chosen(labels, baseline, results)
    # References are bounds, no rivals, unless they are asked for.
    asked = {*(chosen if labels else ()), baseline}
    rivals = [each for each in chosen if each in asked or each not in results.references]
    figures = results.many_figures(parsed)
    return [
        _compare(
            results,
            metric,
            Blocks(results, metric, figures[metric], chosen),
            baseline,
            datasets,
            rivals,
        )
        for metric in parsed
    ]


def _chosen(names: Sequence[str], baseline: str, results: Results) -> list[str]:
    """The labels that names stand for, in the order of tables."""
    wanted = {label for name in names for label in _labels_of(name, results)} | {baseline}
    chosen = [label for label in results.labels() if label in wanted or not names]
    if len(chosen) < 2:
        raise UsageError(f"compare: there is only {chosen[0]}; two methods are needed")
    return chosen


def _labels_of(name: str, results: Results) -> list[str]:
    known = results.labels()
    if name in known:
        return [name]
    variants = [label for label in known if results.method(label) == name]
    if not variants:
        raise UsageError(f"method {name}: not in the run{nearest(name, known)}")
    return variants


def _the_one(name: str, results: Results) -> str:
    variants = _labels_of(name, results)
    if len(variants) > 1:
        raise UsageError(f"baseline {name}: which of {', '.join(variants)}?")
    return variants[0]


def _compare(
    results: Results,
    metric: Metric,
    blocks: Blocks,
    baseline: str,
    datasets: Sequence[str],
    rivals: Sequence[str],
) -> Comparison:
    absent: dict[str, str] = {}
    entries = []
    for dataset in datasets or results.datasets:
        try:
            entries.append(_on_dataset(blocks, dataset, baseline, metric.better))
        except _Nothing as reason:
            absent[dataset] = str(reason)
    if not entries or (datasets and absent):
        dataset, why = next(iter(absent.items()))
        raise UsageError(f"{dataset}: {metric} can't be compared: {why}")
    names = [entry.dataset for entry in entries]
    incomplete = left_out(blocks, names, rivals)
    complete = [label for label in rivals if label not in incomplete]
    across, no_across = None, ""
    try:
        across = over_datasets(blocks, names, complete, baseline, metric.better)
    except Incomplete as reason:
        no_across = str(reason)
    return Comparison(
        metric,
        baseline,
        results.references,
        tuple(entries),
        absent,
        across,
        no_across,
        incomplete,
        pooled([pair for entry in entries for pair in entry.pairs]),
    )


class _Nothing(Exception):
    """Why nothing can be compared on a dataset."""


def _on_dataset(blocks: Blocks, dataset: str, baseline: str, better: str) -> OnDataset:
    usable, gaps = blocks.usable(dataset), blocks.gaps(dataset)
    if not usable:
        raise _Nothing("no method has it")
    if baseline and baseline not in usable:
        state = gaps_text(gaps[baseline]) if baseline in gaps else "not run"
        raise _Nothing(f"the baseline {baseline}: {state}")
    if len(usable) < 2:
        raise _Nothing(f"only {usable[0]} has it")
    pairs, refused = [], []
    for names in pairs_of(usable, baseline):
        keys = blocks.shared(dataset, names)
        if keys:
            first, second = (blocks.values(dataset, each, keys) for each in names)
            pairs.append(make_pair(names, first, second, [seed for seed, _ in keys], better))
        else:
            common = blocks.have_seeds_in_common(dataset, names)
            what = "other teachers or sets" if common else "no seed in common"
            refused.append(f"{names[0]} and {names[1]}: {what}")
    if not pairs:
        raise _Nothing(f"nothing is paired: {refused[0]}")
    return OnDataset(dataset, corrected(pairs), gaps, tuple(refused))
