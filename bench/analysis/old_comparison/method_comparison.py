"""Methods compared in one metric, on each dataset and across datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distillation_bench.bench.analysis.old_chance_level import (
    TeacherDetection,
    auroc_metrics,
    teacher_detections,
)
from distillation_bench.bench.analysis.old_comparison.across_datasets import (
    AcrossDatasets,
    Incomplete,
    PooledTest,
    compare_across_datasets,
    incomplete_labels,
    pool_datasets,
)
from distillation_bench.bench.analysis.old_comparison.within_datasets import (
    DatasetComparison,
    NotComparable,
    compare_on_dataset,
)
from distillation_bench.bench.analysis.old_metric_formats import metric_format
from distillation_bench.bench.analysis.old_pairing import PairedValues
from distillation_bench.bench.analysis.old_results import MetricInfo, Results
from distillation_bench.bench.analysis.old_values_at_bounds import (
    describe_temperatures,
    temperatures_at_bound,
)
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.storage.tables import CellKey

DEFAULT_METRIC = "nll"
"""Every task has it, and it is a proper score of the whole predictive distribution."""


@dataclass(frozen=True)
class Comparison:
    """Methods compared in one metric.

    Attributes:
        metric: the metric.
        baseline: label that all others are compared with; empty for all pairs.
        note: what is special about the metric, one sentence; else empty.
        references: labels that are not students.
        datasets: one entry for each dataset that is compared.
        not_comparable: datasets on which nothing can be compared, with the reason.
        below_chance: datasets that are not compared since the teacher detects worse than chance,
            with the reason.
        chance_unknown: datasets that are compared although it is unknown whether the teacher
            detects better than chance, with the reason.
        at_bound: in how many cells the temperature is at a bound, one sentence; else empty.
        across: the comparison over datasets, or None.
        no_across: why there is none.
        incomplete: labels that are left out over datasets, with the reason.
        pooled: tests of all seeds together.
    """

    metric: MetricInfo
    baseline: str
    note: str
    references: frozenset[str]
    datasets: tuple[DatasetComparison, ...]
    not_comparable: Mapping[str, str]
    below_chance: Mapping[str, str]
    chance_unknown: Mapping[str, str]
    at_bound: str
    across: AcrossDatasets | None
    no_across: str
    incomplete: Mapping[str, str]
    pooled: tuple[PooledTest, ...]

    @property
    def not_compared(self) -> Mapping[str, str]:
        """All datasets without a comparison, with the reason."""
        return {**self.not_comparable, **self.below_chance}

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
    """Compare methods in several metrics, paired by dataset, teacher and seed.

    References are bounds and not rivals: they are shown, and tested only if they are selected.

    Args:
        results: results of one run or several.
        metrics: selectors, see `Results.metric`.
        baseline: label that all others are compared with; by default all pairs are compared.
        datasets: only these datasets.
        labels: only these labels and the baseline; a method stands for all its variants.

    Raises:
        UsageError: a name is unknown, or nothing can be compared.
    """
    selected_datasets = results.select_datasets(datasets) if datasets else []
    parsed = [results.metric(selector) for selector in dict.fromkeys(metrics)]
    baseline = _one_label(baseline, results) if baseline else ""
    selected, rivals = _labels_and_rivals(results, labels, baseline)
    values = results.values_of(parsed, auroc_metrics(parsed).values())
    detections = teacher_detections(results, parsed, values)
    return [
        _MetricComparison(
            results, metric, values[metric], baseline, selected_datasets, detections
        ).compare(selected, rivals)
        for metric in parsed
    ]


def _labels_and_rivals(
    results: Results, labels: Sequence[str], baseline: str
) -> tuple[list[str], list[str]]:
    """Return the labels to show, and those to test: students, and references that are named."""
    wanted = {*results.select_labels(labels), *([baseline] if baseline else [])}
    selected = [label for label in results.labels() if label in wanted]
    named = {*(selected if labels else ()), baseline}
    return selected, [x for x in selected if x in named or x not in results.references]


def _one_label(name: str, results: Results) -> str:
    """Return the label that a name stands for; raise UsageError if it stands for several."""
    variants = results.select_labels([name], option="--baseline")
    if len(variants) > 1:
        raise UsageError(f"--baseline {name}: which of {', '.join(variants)}?")
    return variants[0]


@dataclass(frozen=True)
class _MetricComparison:
    """What the comparison in one metric is computed from.

    Attributes:
        results, metric, values, baseline: as for `compare_all`.
        datasets: selected datasets; none for all.
        detections: how well the teacher detects, by dataset and metric.
    """

    results: Results
    metric: MetricInfo
    values: Mapping[CellKey, float]
    baseline: str
    datasets: Sequence[str]
    detections: Mapping[tuple[str, MetricInfo], TeacherDetection]

    def compare(self, labels: Sequence[str], rivals: Sequence[str]) -> Comparison:
        """Compare labels, of which the rivals are tested."""
        labels, rivals, note = self._comparable(labels, rivals)
        paired = PairedValues(self.results, self.metric, self.values, labels)
        entries, not_comparable, below_chance = self._on_each_dataset(paired, rivals)
        names = [entry.dataset for entry in entries]
        incomplete = incomplete_labels(paired, names, rivals)
        complete = [label for label in rivals if label not in incomplete]
        across, no_across = self._across_datasets(paired, names, complete)
        detections = {name: self.detections.get((name, self.metric)) for name in names}
        return Comparison(
            self.metric,
            self.baseline,
            note,
            self.results.references,
            tuple(entries),
            not_comparable,
            below_chance,
            {name: d.reason for name, d in detections.items() if d is not None and d.is_unknown},
            self._at_bound(names, labels),
            across,
            no_across,
            incomplete,
            pool_datasets({entry.dataset: entry.tested for entry in entries}),
        )

    def _comparable(
        self, labels: Sequence[str], rivals: Sequence[str]
    ) -> tuple[Sequence[str], Sequence[str], str]:
        """Return the labels to show, those to test, and a note on the metric."""
        note, references = "", self.results.references
        if metric_format(self.metric, ()).exact:
            reason = "what a student costs is chosen, not measured, so nothing is tested."
            note = f"{self.metric}: {reason}"
            rivals = ()
        elif self.metric.name.startswith("teacher_") and references & set(labels):
            # The teacher's difference from itself is always 0, so it says nothing.
            note = f"{self.metric} is measured against the ensemble, so references are left out."
            if self.baseline in references:
                raise UsageError(f"--baseline {self.baseline}: {note}")
            labels = rivals = [label for label in labels if label not in references]
        if len(labels) < 2:
            only = labels[0] if labels else "no student"
            raise UsageError(f"{self.metric}: there is only {only}; two methods are needed")
        return labels, rivals, note

    def _on_each_dataset(
        self, paired: PairedValues, rivals: Sequence[str]
    ) -> tuple[list[DatasetComparison], dict[str, str], dict[str, str]]:
        """Return the comparisons, and the reasons of datasets not comparable and below chance."""
        entries: list[DatasetComparison] = []
        not_comparable: dict[str, str] = {}
        below_chance: dict[str, str] = {}
        for dataset in self.datasets or self.results.datasets:
            try:
                entry = compare_on_dataset(
                    paired, dataset, self.baseline, self.metric.better, rivals
                )
            except NotComparable as reason:
                not_comparable[dataset] = str(reason)
                continue
            detection = self.detections.get((dataset, self.metric))
            if detection is not None and detection.is_below_chance:
                below_chance[dataset] = detection.reason
            else:
                entries.append(entry)
        if not (entries or below_chance) or (self.datasets and not_comparable):
            dataset, why = next(iter(not_comparable.items()))
            raise UsageError(f"{dataset}: {self.metric} can't be compared: {why}")
        return entries, not_comparable, below_chance

    def _across_datasets(
        self, paired: PairedValues, datasets: Sequence[str], labels: Sequence[str]
    ) -> tuple[AcrossDatasets | None, str]:
        """Return the comparison over datasets, or None and the reason."""
        better = self.metric.better
        try:
            return compare_across_datasets(paired, datasets, labels, self.baseline, better), ""
        except Incomplete as reason:
            return None, str(reason)

    def _at_bound(self, datasets: Sequence[str], labels: Sequence[str]) -> str:
        cells = [cell for cell in self.values if cell[0] in datasets and cell[1] in labels]
        at_bound = temperatures_at_bound(self.results.rows)
        return describe_temperatures([self.metric.name], cells, at_bound)
