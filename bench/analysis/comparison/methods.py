"""Methods compared in one metric, on each dataset and across datasets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from distillation_bench.bench.analysis.chance_level import TeacherDetection, teacher_detections
from distillation_bench.bench.analysis.comparison import sentences
from distillation_bench.bench.analysis.comparison.pairs import (
    AcrossDatasets,
    NotComparable,
    compare_across_datasets,
    compare_on_dataset,
    pair_table,
    pool_datasets,
)
from distillation_bench.bench.analysis.metric_info import MetricFormat, MetricInfo, metric_format
from distillation_bench.bench.analysis.missing_cells import describe_seeds
from distillation_bench.bench.analysis.overview import describe_runs
from distillation_bench.bench.analysis.pairing import paired_values, unusable_cells
from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.analysis.statistics import ALPHA, seeds_needed, smallest_corrected_p
from distillation_bench.bench.analysis.values_at_bounds import (
    describe_temperatures,
    temperatures_at_bound,
)
from distillation_bench.bench.common.errors import UsageError

DEFAULT_METRIC = "nll"
"""Every task has it, and it is a proper score of the whole predictive distribution."""


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Methods compared in one metric.

    Attributes:
        metric, format: the metric, and how it is printed.
        baseline: label that all others are compared with; empty for all pairs.
        note: what is special about the metric, one sentence; else empty.
        references, rivals: labels that are not students; labels whose pairs are tested.
        unusable: the cells without a value, with the `reason` of each.
        tables: by dataset that is compared, its `pairing.paired_values`.
        pairs: a row for each pair of labels on each dataset: `dataset`, `first`, `second`; `mean`,
            `low`, `high`: the mean difference, first − second, as recorded, with its 95 % interval
            by Student's t; `effect`: Cohen's d_z with Hedges' correction; `improvement`: the
            probability that a run of the first is better than one of the second, of any seeds;
            `wins`, `ties`, `losses`: seeds on which the first is better, equal, worse (above,
            equal, below without a direction); `n`; `p`, `p_holm`: the sign-flip test, and after
            Holm's correction over the dataset; `p_rank`, `p_rank_holm`: Wilcoxon's; `tested`;
            `distinguishable`: `p_holm` is at most .05; `seeds` and `differences` of the n pairs.
        not_paired: by dataset, pairs without a seed under the same teacher, with the reason.
        not_comparable: datasets without a comparison, with the reason.
        detections: how well the teacher detects, by dataset, if the metric detects.
        at_bound: in how many cells the temperature is at a bound, one sentence; else empty.
        runs: which runs these are if there are several, one sentence; else empty.
    """

    metric: MetricInfo
    format: MetricFormat
    baseline: str
    note: str
    references: frozenset[str]
    rivals: Sequence[str]
    unusable: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    pairs: pd.DataFrame
    not_paired: Mapping[str, Sequence[str]]
    not_comparable: Mapping[str, str]
    detections: Mapping[str, TeacherDetection]
    at_bound: str
    runs: str

    def __repr__(self) -> str:
        return "\n".join(self.sentences)

    @property
    def below_chance(self) -> dict[str, str]:
        """Datasets without a comparison since the teacher detects worse than chance; the reason."""
        return {k: each.reason for k, each in self.detections.items() if each.is_below_chance}

    @property
    def not_compared(self) -> dict[str, str]:
        """Datasets without a comparison, with the reason."""
        return {**self.not_comparable, **self.below_chance}

    @property
    def chance_unknown(self) -> dict[str, str]:
        """Datasets on which it is unknown whether the teacher beats chance, with the reason."""
        return {k: each.reason for k, each in self.detections.items() if each.is_unknown}

    @property
    def is_tested(self) -> bool:
        """Whether there are tests on any dataset."""
        return bool(self.pairs["tested"].any())

    @cached_property
    def printed(self) -> pd.DataFrame:
        """The pairs with `mean`, `low`, `high`, `effect` and `differences` as they are printed."""
        factor, pairs = self.format.factor, self.pairs
        limits = factor * pairs[["low", "high"]].to_numpy(float)
        return pairs.assign(
            mean=factor * pairs["mean"],
            low=limits.min(axis=1),
            high=limits.max(axis=1),
            effect=np.sign(factor) * pairs["effect"],
            differences=[tuple(factor * x for x in row) for row in pairs["differences"]],
        )

    @cached_property
    def datasets(self) -> pd.DataFrame:
        """What the seeds allow, by dataset that is compared.

        `n` of the pair that has most seeds, `comparisons` (number of tests), `smallest_p_holm`,
        and `seeds_needed` to reach .05, which is 0 if there are enough.
        """
        rows = {}
        for name, pairs in self.pairs.groupby("dataset", sort=False):
            count = int(pairs["tested"].sum())
            n = int(pairs.loc[pairs["tested"] | (count == 0), "n"].max())
            smallest = smallest_corrected_p(count, n) if count else math.nan
            rows[name] = (n, count, smallest, seeds_needed(count) if smallest > ALPHA else 0)
        columns = ["n", "comparisons", "smallest_p_holm", "seeds_needed"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns)

    @cached_property
    def incomplete(self) -> dict[str, str]:
        """Rivals that lack values on one of the datasets, with the first reason."""
        reasons: dict[str, str] = {}
        for dataset, table in self.tables.items():
            for label in self.rivals:
                why = describe_seeds(_of(self.unusable, dataset, label))
                if why or label not in table:
                    reasons.setdefault(label, f"{why or 'missing'} on {dataset}")
        return reasons

    @cached_property
    def _across(self) -> AcrossDatasets | str:
        complete = [label for label in self.rivals if label not in self.incomplete]
        better = self.format.better and self.metric.better
        try:
            return compare_across_datasets(self.tables, complete, self.baseline, better)
        except NotComparable as reason:
            return str(reason)

    @property
    def across(self) -> AcrossDatasets | None:
        """The comparison over datasets, or None."""
        return None if isinstance(self._across, str) else self._across

    @property
    def no_across(self) -> str:
        """Why there is no comparison over datasets; else empty."""
        return self._across if isinstance(self._across, str) else ""

    @property
    def ranks(self) -> pd.DataFrame:
        """`label` and average `rank` over datasets, best first; empty without `across`."""
        return self.across.ranks if self.across else pd.DataFrame(columns=["label", "rank"])

    @cached_property
    def pooled(self) -> pd.DataFrame:
        """Tests of all seeds together, see `pool_datasets`."""
        return pool_datasets(self.pairs)

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """A row for each pair: `dataset`, `first`, `second`, and the `verdict` in words."""
        return sentences.verdicts(self)

    @property
    def sentences(self) -> list[str]:
        """The verdict of each dataset, what is left out, and what holds beyond datasets."""
        return [*sentences.verdict_lines(self), *sentences.further_notes(self)]


def compare(
    results: Results,
    metric: str = DEFAULT_METRIC,
    baseline: str = "",
    datasets: Sequence[str] = (),
    labels: Sequence[str] = (),
) -> Comparison:
    """Compare methods in one metric, paired by dataset, teacher and seed.

    References are bounds and not rivals: they are shown, and tested only if they are selected.

    Args:
        results, metric: results, and a selector, see `Results.metric`.
        baseline: label that all others are compared with; by default all pairs are compared.
        datasets, labels: only these, and the baseline; a method stands for all its variants.

    Raises:
        UsageError: a name is unknown, or nothing can be compared.
    """
    selected, info = results.select_datasets(datasets), results.metric(metric)
    baseline = one_label(baseline, results) if baseline else ""
    shown, rivals, note = _labels(results, info, baseline, labels)
    values, planned = (x[x["label"].isin(shown)] for x in (results.values(info), results.planned))
    format, unusable = metric_format(info, values["value"]), unusable_cells(planned, values, info)
    tables = {dataset: paired_values(values, dataset) for dataset in selected}
    better = format.better and info.better
    rows, not_paired, reasons = _compare_datasets(tables, shown, rivals, baseline, better, unusable)
    if not rows or (datasets and reasons):
        # One that has the metric says more than one of another task.
        dataset = max(reasons, key=lambda name: tables[name].shape[1])
        raise UsageError(f"{format.name} on {dataset}: nothing to compare: {reasons[dataset]}")
    detections = teacher_detections(results, info, shown)
    detections = {k: detections[k] for k in rows if k in detections}
    kept = [k for k in rows if k not in detections or not detections[k].is_below_chance]
    cells = values.loc[values["dataset"].isin(kept), "id"]
    return Comparison(
        *(info, format, baseline, note, results.references, rivals, unusable),
        {dataset: tables[dataset] for dataset in kept},
        pair_table([{"dataset": k} | row for k in kept for row in rows[k]]),
        *(not_paired, reasons, detections),
        describe_temperatures([info.name], cells, temperatures_at_bound(results)),
        describe_runs(results),
    )


def _compare_datasets(
    tables: Mapping[str, pd.DataFrame],
    labels: Sequence[str],
    rivals: Sequence[str],
    baseline: str,
    better: str,
    unusable: pd.DataFrame,
) -> tuple[dict[str, Any], dict[str, list[str]], dict[str, str]]:
    """Return, by dataset, rows of `pair_table`, what is not paired, and why there is nothing."""
    rows, not_paired, reasons = {}, {}, {}
    for dataset, table in tables.items():
        usable = [label for label in labels if label in table]
        own = unusable["reason"][unusable["dataset"].eq(dataset)]
        what = "a finite value" if own.isin(["nan", "inf", "-inf"]).any() else "it"
        if not usable:
            reasons[dataset] = f"no method has {what}{_unfinished(unusable, dataset)}"
        elif baseline and baseline not in usable:
            why = describe_seeds(_of(unusable, dataset, baseline)) or "missing"
            reasons[dataset] = f"the baseline {baseline}: {why}"
        elif len(usable) < 2:
            reasons[dataset] = f"only {usable[0]} has {what}{_unfinished(unusable, dataset)}"
        else:
            found, unpaired = compare_on_dataset(table, usable, baseline, better, rivals)
            if found:
                rows[dataset], not_paired[dataset] = found, unpaired
            else:
                reasons[dataset] = f"nothing is paired: {unpaired[0]}"
    return rows, not_paired, reasons


def _unfinished(unusable: pd.DataFrame, dataset: str) -> str:
    """Return the cells of a dataset that are not done, by label, behind a semicolon."""
    cells = unusable[unusable["dataset"].eq(dataset) & unusable["status"].ne("done")]
    groups = cells.groupby("label", observed=True)
    parts = [f"{label}: {describe_seeds(group)}" for label, group in groups]
    return f"; {sentences.first_few(parts, ', ')}" if parts else ""


def _of(cells: pd.DataFrame, dataset: str, label: str) -> pd.DataFrame:
    return cells[cells["dataset"].eq(dataset) & cells["label"].eq(label)]


def one_label(name: str, results: Results) -> str:
    """Return the label of a baseline; raise UsageError if it is unknown or has several variants."""
    if name in results.labels():
        return name
    variants = results.select_labels([name], option="--baseline")
    if len(variants) > 1:
        raise UsageError(f"--baseline {name}: which of {', '.join(variants)}?")
    return variants[0]


def _labels(
    results: Results, metric: MetricInfo, baseline: str, labels: Sequence[str]
) -> tuple[list[str], list[str], str]:
    """Return the labels to show, those to test, and a note on the metric."""
    references, note, name = results.references, "", metric_format(metric).name
    wanted = {*results.select_labels(labels), baseline}
    shown = [label for label in results.labels() if label in wanted]
    named = {*(shown if labels else ()), baseline}
    rivals = [label for label in shown if label in named or label not in references]
    if metric_format(metric).exact:
        reason = "what a student costs is chosen, not measured, so nothing is tested."
        note, rivals = f"{name}: {reason}", []
    elif metric.name.startswith("teacher_") and references & set(shown):
        # The teacher's difference from itself is always 0, so it says nothing.
        # Without a verb, as reports name several metrics before it.
        note = f"{name}: measured against the ensemble, so references are left out."
        if baseline in references:
            raise UsageError(f"--baseline {baseline}: {note}")
        shown = rivals = [label for label in shown if label not in references]
    if len(shown) < 2:
        only = shown[0] if shown else "no student"
        raise UsageError(f"{name}: there is only {only}; two methods are needed")
    return shown, rivals, note
