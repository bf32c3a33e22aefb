"""Pairs on each dataset and across datasets, of one metric."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distillation_bench.bench.analysis.chance_level import (
    TeacherDetection,
    auroc_metrics,
    teacher_detections,
)
from distillation_bench.bench.analysis.comparison.across_datasets import (
    AcrossDatasets,
    Incomplete,
    Pooled,
    left_out,
    over_datasets,
    pooled,
)
from distillation_bench.bench.analysis.comparison.blocks import Blocks, Gaps, gaps_text
from distillation_bench.bench.analysis.comparison.pairs import (
    Pair,
    corrected,
    make_pair,
    pairs_of,
    untested,
)
from distillation_bench.bench.analysis.metric_formats import metric_format
from distillation_bench.bench.analysis.results import MetricInfo, Results
from distillation_bench.bench.analysis.statistics import ALPHA, seeds_needed, smallest_p
from distillation_bench.bench.analysis.values_at_bounds import (
    describe_temperatures,
    temperatures_at_bound,
)
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.storage.tables import CellKey

DEFAULT_METRIC = "nll"
"""Every task has it, and it is a proper score of the whole predictive distribution."""


@dataclass(frozen=True)
class OnDataset:
    """One dataset's comparisons; those that are tested are the family of Holm's correction.

    Attributes:
        dataset: its name.
        pairs: that were compared, tested or not.
        gaps: by label, what can't be used.
        refused: pairs that have no seed under the same teacher, each in words.
    """

    dataset: str
    pairs: tuple[Pair, ...]
    gaps: Mapping[str, Gaps]
    refused: tuple[str, ...]

    @property
    def tested(self) -> tuple[Pair, ...]:
        """The family: pairs of rivals."""
        return tuple(pair for pair in self.pairs if pair.is_tested)

    @property
    def n(self) -> int:
        """Seeds of the pair that has most."""
        return max(pair.n for pair in self.tested or self.pairs)

    @property
    def least_p(self) -> float:
        """The smallest p that so many seeds and comparisons allow after Holm's correction."""
        return min(1.0, len(self.tested) * smallest_p(self.n)) if self.tested else math.nan

    @property
    def seeds_needed(self) -> int:
        """With which one of so many comparisons could reach .05; 0 if these are enough."""
        return seeds_needed(len(self.tested)) if self.least_p > ALPHA else 0


@dataclass(frozen=True)
class Comparison:
    """What `compare` says about one metric.

    Attributes:
        metric: what is compared.
        baseline: that all others are compared with; empty for all pairs.
        note: what is special about the metric, a sentence; else empty.
        references: labels that are no students.
        datasets: one entry each.
        absent: datasets on which nothing could be compared, with the reason.
        of_chance: those on which nothing may be: the teacher itself detects worse than chance.
        unjudged: the same of those on which that is not known, and all is compared.
        at_bound: in how many cells the temperature is at a bound, a sentence; else empty.
        across: over datasets, or None.
        no_across: why not.
        incomplete: labels left out over datasets, with the reason.
        pooled: on exactly these datasets.
    """

    metric: MetricInfo
    baseline: str
    note: str
    references: frozenset[str]
    datasets: tuple[OnDataset, ...]
    absent: Mapping[str, str]
    below_chance: Mapping[str, str]
    unjudged: Mapping[str, str]
    at_bound: str
    across: AcrossDatasets | None
    no_across: str
    incomplete: Mapping[str, str]
    pooled: tuple[Pooled, ...]

    @property
    def not_compared(self) -> Mapping[str, str]:
        """Datasets without a comparison, with the reason."""
        return {**self.absent, **self.below_chance}

    @property
    def is_tested(self) -> bool:
        """Whether there are tests on any dataset."""
        return any(entry.tested for entry in self.datasets)


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

    References are bounds, no rivals: they are shown, and tested only if they are asked for.

    Args:
        results: of one run or several.
        metrics: selectors, see `Results.metric`.
        baseline: a label that all others are compared with; else all pairs are.
        datasets: only these.
        labels: only these and the baseline, each a label or a method, which is all its variants.

    Raises:
        UsageError: a name is unknown, or nothing can be compared.
    """
    # A dataset that is named twice is no evidence twice.
    kept = results.select_datasets(datasets) if datasets else []
    parsed = [results.metric(each) for each in dict.fromkeys(metrics)]
    baseline = _the_one(baseline, results) if baseline else ""
    wanted = {*results.select_labels(labels), *([baseline] if baseline else [])}
    chosen = [label for label in results.labels() if label in wanted]
    asked = {*(chosen if labels else ()), baseline}
    rivals = [each for each in chosen if each in asked or each not in results.references]
    figures = results.values_of(parsed, auroc_metrics(parsed).values())
    stands = teacher_detections(results, parsed, figures)
    return [
        _compare(results, metric, figures[metric], baseline, kept, chosen, rivals, stands)
        for metric in parsed
    ]


def _the_one(name: str, results: Results) -> str:
    variants = results.select_labels([name], option="--baseline")
    if len(variants) > 1:
        raise UsageError(f"--baseline {name}: which of {', '.join(variants)}?")
    return variants[0]


def _compare(
    results: Results,
    metric: MetricInfo,
    figures: Mapping[CellKey, float],
    baseline: str,
    datasets: Sequence[str],
    chosen: Sequence[str],
    rivals: Sequence[str],
    stands: Mapping[tuple[str, MetricInfo], TeacherDetection],
) -> Comparison:
    chosen, rivals, note = _family(results, metric, baseline, chosen, rivals)
    blocks = Blocks(results, metric, figures, chosen)
    kept = datasets or results.datasets
    standing = {name: each for (name, what), each in stands.items() if what == metric}
    entries, absent, of_chance = _on_each(blocks, kept, baseline, metric.better, rivals, standing)
    if not (entries or of_chance) or (datasets and absent):
        dataset, why = next(iter(absent.items()))
        raise UsageError(f"{dataset}: {metric} can't be compared: {why}")
    names = [entry.dataset for entry in entries]
    incomplete = left_out(blocks, names, rivals)
    complete = [label for label in rivals if label not in incomplete]
    compared = [s for s in figures if s[0] in names and s[1] in chosen]
    across, no_across = _over_datasets(blocks, names, complete, baseline, metric)
    return Comparison(
        metric,
        baseline,
        note,
        results.references,
        tuple(entries),
        absent,
        of_chance,
        {n: standing[n].reason for n in names if n in standing and standing[n].is_unknown},
        describe_temperatures([metric.name], compared, temperatures_at_bound(results.rows)),
        across,
        no_across,
        incomplete,
        pooled({entry.dataset: entry.tested for entry in entries}),
    )


def _family(
    results: Results,
    metric: MetricInfo,
    baseline: str,
    chosen: Sequence[str],
    rivals: Sequence[str],
) -> tuple[Sequence[str], Sequence[str], str]:
    """Labels to show and those to test in a metric, and what must be said of it."""
    note = ""
    if metric_format(metric, ()).exact:
        note = f"{metric}: what a student costs is chosen, not measured, so nothing is tested."
        rivals = ()
    elif metric.name.startswith("teacher_") and results.references & set(chosen):
        # The teacher differs from itself by 0: no result.
        note = f"{metric} is measured against the ensemble, so references are left out."
        if baseline in results.references:
            raise UsageError(f"--baseline {baseline}: {note}")
        chosen = rivals = [label for label in chosen if label not in results.references]
    if len(chosen) < 2:
        only = chosen[0] if chosen else "no student"
        raise UsageError(f"{metric}: there is only {only}; two methods are needed")
    return chosen, rivals, note


def _over_datasets(
    blocks: Blocks,
    datasets: Sequence[str],
    labels: Sequence[str],
    baseline: str,
    metric: MetricInfo,
) -> tuple[AcrossDatasets | None, str]:
    """What holds across datasets, or why nothing is said."""
    try:
        return over_datasets(blocks, datasets, labels, baseline, metric.better), ""
    except Incomplete as reason:
        return None, str(reason)


class _Nothing(Exception):
    """Why nothing can be compared on a dataset."""


def _on_each(
    blocks: Blocks,
    datasets: Sequence[str],
    baseline: str,
    better: str,
    rivals: Sequence[str],
    standing: Mapping[str, TeacherDetection],
) -> tuple[list[OnDataset], dict[str, str], dict[str, str]]:
    """What is compared; why nothing can be on a dataset; where the teacher is worse than chance."""
    entries: list[OnDataset] = []
    absent: dict[str, str] = {}
    of_chance: dict[str, str] = {}
    for dataset in datasets:
        try:
            entry = _on_dataset(blocks, dataset, baseline, better, rivals)
        except _Nothing as reason:
            absent[dataset] = str(reason)
            continue
        if dataset in standing and standing[dataset].is_below_chance:
            of_chance[dataset] = standing[dataset].reason
        else:
            entries.append(entry)
    return entries, absent, of_chance


def _on_dataset(
    blocks: Blocks, dataset: str, baseline: str, better: str, rivals: Sequence[str]
) -> OnDataset:
    usable, gaps = blocks.usable(dataset), blocks.gaps(dataset)
    if not usable:
        raise _Nothing("no method has it")
    if baseline and baseline not in usable:
        status = gaps_text(gaps[baseline]) if baseline in gaps else "missing"
        raise _Nothing(f"the baseline {baseline}: {status}")
    if len(usable) < 2:
        raise _Nothing(f"only {usable[0]} has it")
    pairs, refused = [], []
    for names in pairs_of(usable, baseline):
        keys = blocks.shared(dataset, names)
        if keys:
            first, second = (blocks.values(dataset, each, keys) for each in names)
            pair = make_pair(names, first, second, [seed for seed, _ in keys], better)
            pairs.append(pair if set(names) <= set(rivals) else untested(pair))
        else:
            common = blocks.have_seeds_in_common(dataset, names)
            what = "other teachers or sets" if common else "no seed in common"
            refused.append(f"{names[0]} and {names[1]}: {what}")
    if not pairs:
        raise _Nothing(f"nothing is paired: {refused[0]}")
    return OnDataset(dataset, corrected(pairs), gaps, tuple(refused))
