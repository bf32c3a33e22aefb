"""Tables for a paper: methods by metrics or datasets, with the best student marked and tested.

What must be said of a table is written by `table_notes`; the formats are in `table_text`,
`table_latex` and `table_csv`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from statistics import fmean

from distillation_bench.bench.analysis.holm import can_reach_alpha, correct_family
from distillation_bench.bench.analysis.old_chance_level import (
    auroc_metrics,
    teacher_detections,
    teacher_labels,
)
from distillation_bench.bench.analysis.old_metric_formats import MetricFormat, metric_format
from distillation_bench.bench.analysis.old_missing_cells import describe_counts
from distillation_bench.bench.analysis.old_pairing import PairKey, pair_key, paired_differences
from distillation_bench.bench.analysis.old_results import MetricInfo, Results
from distillation_bench.bench.analysis.old_summaries import best_first, rank_students, summarise
from distillation_bench.bench.analysis.old_values_at_bounds import (
    TEMPERED_METRICS,
    describe_clamped_variances,
    temperatures_at_bound,
)
from distillation_bench.bench.analysis.statistics import ALPHA, sign_flip_p
from distillation_bench.bench.analysis.tables.table_model import (
    BestStudentTests,
    Mark,
    MissingCells,
    PaperTable,
    TableEntry,
    TableOptions,
)
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.storage.tables import CellKey

Column = tuple[str, MetricInfo]
"""A dataset and a metric."""
SeedValues = Mapping[int, float]
GroupedValues = Mapping[str, Mapping[str, SeedValues]]
"""Values by dataset, label and seed."""


def make_tables(results: Results, options: TableOptions) -> list[PaperTable]:
    """Return the selected tables.

    Raises:
        UsageError: there is no such dataset, method or metric, or no value of it.
    """
    return _TableBuilder(results, options).tables()


class _TableBuilder:
    """Tables of one selection; values are read once, and marked by dataset and metric."""

    def __init__(self, results: Results, options: TableOptions) -> None:
        self.results, self.options = results, options
        self.datasets = results.select_datasets(options.datasets)
        self.labels = results.select_labels(options.labels)
        self.planned: dict[tuple[str, str], list[int]] = {}
        for dataset, label, seed in results.cells:
            self.planned.setdefault((dataset, label), []).append(seed)
        metrics = [results.metric(text) for text in options.metrics] or self._headline_metrics()
        sorting = [results.metric(options.sort)] if options.sort else []
        read = list(dict.fromkeys([*metrics, *sorting]))
        values = results.values_of(read, auroc_metrics(read).values())
        self.detections = teacher_detections(results, read, values)
        self.at_bound = temperatures_at_bound(results.rows)
        selected = {metric: self._select(metric, values[metric]) for metric in read}
        self.values = {metric: _grouped(cells) for metric, cells in selected.items()}
        self.formats = {
            metric: metric_format(metric, selected[metric].values(), options.digits, options.raw)
            for metric in dict.fromkeys(metrics)
        }
        self.entries: dict[Column, dict[str, TableEntry]] = {}
        self.tests: dict[Column, BestStudentTests] = {}
        for metric in self.formats:
            for dataset in self._datasets_with(metric):
                self._fill_column(dataset, metric)

    def _headline_metrics(self) -> list[MetricInfo]:
        rows = [
            row
            for row in self.results.rows
            if row["status"] == "done"
            and row["dataset"] in self.datasets
            and row["label"] in self.labels
        ]
        described = self.results.manifest["metrics"].items()
        names = [name for name, entry in described if entry["headline"]]
        metrics = [self.results.metric(n) for n in names if any(row.get(n) for row in rows)]
        if not metrics:
            selected = ", ".join([*self.options.datasets, *self.options.labels])
            raise UsageError(f"{selected or 'table'}: no cell has a headline value; give --metric")
        return metrics

    def _select(self, metric: MetricInfo, values: Mapping[CellKey, float]) -> dict[CellKey, float]:
        """Return the values of the selected datasets and labels."""
        labels, datasets = frozenset(self.labels), frozenset(self.datasets)
        selected = {k: v for k, v in values.items() if k[0] in datasets and k[1] in labels}
        if not selected:
            names = ", ".join([*self.options.datasets, *self.options.labels])
            raise UsageError(f"{metric}: no cell of {names} has this value")
        return selected

    def _datasets_with(self, metric: MetricInfo) -> list[str]:
        """Return the datasets with values of a metric, which applies to their task."""
        return [dataset for dataset in self.datasets if dataset in self.values[metric]]

    # Entries

    def _fill_column(self, dataset: str, metric: MetricInfo) -> None:
        """Set the entries and the tests of one metric on one dataset."""
        format = self.formats[metric]
        values = {
            label: {seed: format.convert(value) for seed, value in seeds.items()}
            for label, seeds in self.values[metric][dataset].items()
        }
        entries = {
            label: self._entry(dataset, label, format, values.get(label)) for label in self.labels
        }
        ranked = self._ranked(dataset, entries, format)
        tests = self._test_students(dataset, values, ranked)
        marks = _marks(ranked, entries)
        self.entries[dataset, metric] = {
            label: replace(
                entry,
                mark=marks.get(label, ""),
                indistinguishable=tests.indistinguishable.get(label),
            )
            for label, entry in entries.items()
        }
        self.tests[dataset, metric] = tests

    def _entry(
        self, dataset: str, label: str, format: MetricFormat, values: SeedValues | None
    ) -> TableEntry:
        seeds = values or {}
        depends = format.metric.name in TEMPERED_METRICS
        return TableEntry(
            dataset,
            label,
            format,
            summarise(list(seeds.values())) if seeds else None,
            len(self.planned.get((dataset, label), [])),
            "" if seeds else self._placeholder(dataset, label),
            detection=self.detections.get((dataset, format.metric)),
            at_bound=sum(depends and (dataset, label, s) in self.at_bound for s in seeds),
        )

    def _is_below_chance(self, dataset: str, metric: MetricInfo) -> bool:
        """Return whether the teacher itself detects worse than chance."""
        detection = self.detections.get((dataset, metric))
        return detection is not None and detection.is_below_chance

    def _placeholder(self, dataset: str, label: str) -> str:
        statuses = self._statuses(dataset, label)
        return "–" if "done" in statuses or not statuses else statuses[0]

    def _statuses(self, dataset: str, label: str) -> list[str]:
        """Return the statuses of the planned cells, in order of seed."""
        seeds = self.planned.get((dataset, label), [])
        return [self.results.statuses[dataset, label, seed] for seed in seeds]

    def _ranked(
        self, dataset: str, entries: Mapping[str, TableEntry], format: MetricFormat
    ) -> list[str]:
        """Return the students from best to worst, of those with all seeds and a finite mean."""
        summaries = {label: entry.summary for label, entry in entries.items() if entry.summary}
        below_chance = self._is_below_chance(dataset, format.metric)
        ranked = rank_students(summaries, format.better, self.results.references, below_chance)
        return [label for label in ranked if math.isfinite(summaries[label].mean)]

    def _test_students(
        self, dataset: str, values: Mapping[str, SeedValues], ranked: Sequence[str]
    ) -> BestStudentTests:
        """Test all pairs of ranked students, of which the first is the best."""
        keyed = {label: self._by_pair_key(dataset, label, values[label]) for label in ranked}
        pairs = {
            (first, second): differences
            for first, second in combinations(ranked, 2)
            if len(differences := paired_differences(keyed[first], keyed[second]))
        }
        p = dict.fromkeys(pairs, 1.0)
        if any(can_reach_alpha(len(pairs), len(differences)) for differences in pairs.values()):
            tests = correct_family([sign_flip_p(differences) for differences in pairs.values()])
            p = {pair: test.corrected for pair, test in zip(pairs, tests, strict=True)}
        best = ranked[0] if ranked else ""
        n = {label: len(pairs.get((best, label), ())) for label in ranked[1:]}
        indistinguishable = {
            label: p[best, label] > ALPHA
            for label in n
            if can_reach_alpha(len(pairs), n[label]) or p.get((best, label), 1.0) <= ALPHA
        }
        students = [label for label in values if label not in self.results.references]
        unranked = [label for label in students if ranked and label not in ranked]
        return BestStudentTests(len(pairs), n, indistinguishable, tuple(unranked))

    def _by_pair_key(self, dataset: str, label: str, values: SeedValues) -> dict[PairKey, float]:
        return {pair_key(self.results, (dataset, label, s)): v for s, v in values.items()}

    # Layout

    def tables(self) -> list[PaperTable]:
        """Return a table for each metric or for each dataset."""
        if self.options.by == "metric":
            return [
                self._table(str(m), f.header, {(d, m): d for d in self._datasets_with(m)})
                for m, f in self.formats.items()
            ]
        columns = {
            dataset: {
                (dataset, metric): format.header
                for metric, format in self.formats.items()
                if (dataset, metric) in self.entries
            }
            for dataset in self.datasets
        }
        return [self._table(name, name, headers) for name, headers in columns.items() if headers]

    def _table(self, name: str, title: str, headers: Mapping[Column, str]) -> PaperTable:
        datasets = list(dict.fromkeys(dataset for dataset, _ in headers))
        labels, remarks = self._sorted_labels(datasets)
        references = tuple(label for label in labels if label in self.results.references)
        table = PaperTable(
            name,
            title,
            "method",
            tuple(headers.values()),
            tuple((x, tuple(self.entries[column][x] for column in headers)) for x in labels),
            tuple(self.tests[column] for column in headers),
            tuple(self._missing(datasets, labels)),
            references,
            _rules([label in references for label in labels]),
            (*remarks, *self._clamped_remarks(datasets)),
        )
        return _transposed(table, self.options.by) if self.options.transpose else table

    def _sorted_labels(self, datasets: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
        """Return the planned labels in the order of rows, and a remark on the order."""
        labels = [x for x in self.labels if any((d, x) in self.planned for d in datasets)]
        if not self.options.sort:
            return labels, ()
        metric = self.results.metric(self.options.sort)
        having = [dataset for dataset in datasets if dataset in self._datasets_with(metric)]
        used = [dataset for dataset in having if not self._is_below_chance(dataset, metric)]
        if not used:
            why = "worse than chance" if having else "no values"
            return labels, (f"{metric}: {why}, so methods can't be sorted by it.",)
        positions: dict[str, list[int]] = {}
        for dataset in used:
            for position, label in enumerate(self._labels_by_mean(dataset, metric)):
                positions.setdefault(label, []).append(position)
        complete = [label for label in labels if len(positions.get(label, ())) == len(used)]
        last = [label for label in labels if label not in complete]
        complete.sort(key=lambda label: fmean(positions[label]))
        criterion = "average rank" if len(used) > 1 else "mean"
        remark = f"Methods by their {criterion} in {metric}"
        if last:
            remark += f"; last, where a seed is missing or not finite: {', '.join(last)}"
        return [*complete, *last], (f"{remark}.",)

    def _labels_by_mean(self, dataset: str, metric: MetricInfo) -> list[str]:
        """Return labels from best to worst, of those with all seeds and a finite mean."""
        values = self.values[metric][dataset].items()
        summaries = {label: summarise([*seeds.values()]) for label, seeds in values}
        ordered = best_first(summaries, metric.better)
        return [label for label in ordered if math.isfinite(summaries[label].mean)]

    def _clamped_remarks(self, datasets: Sequence[str]) -> list[str]:
        """Return whose variances were clamped, one sentence for each dataset."""
        labels, teachers = frozenset(self.labels), teacher_labels(self.results.manifest)
        rows: dict[str, list[Mapping[str, str]]] = {dataset: [] for dataset in datasets}
        for row in self.results.rows:
            if row["dataset"] in rows and row["label"] in labels and row["status"] == "done":
                rows[row["dataset"]].append(row)
        remarks = {d: describe_clamped_variances(own, teachers) for d, own in rows.items()}
        return [f"On {dataset}, {remark}." for dataset, remark in remarks.items() if remark]

    def _missing(self, datasets: Sequence[str], labels: Sequence[str]) -> Iterator[MissingCells]:
        for dataset in datasets:
            for label in labels:
                if counts := describe_counts(self._statuses(dataset, label)):
                    yield MissingCells(dataset, label, counts, self._reason(dataset, label))

    def _reason(self, dataset: str, label: str) -> str:
        """Return the reason of the first cell that is not done."""
        for seed in self.planned[dataset, label]:
            cell = dataset, label, seed
            if self.results.statuses[cell] in ("failed", "skipped"):
                record = self.results.record(cell)
                return str(record["reason"]) if record else ""
        return ""


def _grouped(values: Mapping[CellKey, float]) -> GroupedValues:
    grouped: dict[str, dict[str, dict[int, float]]] = {}
    for (dataset, label, seed), value in values.items():
        grouped.setdefault(dataset, {}).setdefault(label, {})[seed] = value
    return grouped


def _marks(ranked: Sequence[str], entries: Mapping[str, TableEntry]) -> dict[str, Mark]:
    """Return the marks of the best and the second by printed mean; equal means share a mark.

    A single student is not best, and if two are best none is second.
    """
    if len(ranked) < 2:
        return {}
    texts = {label: _mean_text(entries[label]) for label in ranked}
    best_text, second_text = [*dict.fromkeys(texts.values()), ""][:2]
    best = [label for label in ranked if texts[label] == best_text]
    marks: dict[str, Mark] = dict.fromkeys(best, "best")
    if len(best) == 1:
        second = [label for label in ranked if texts[label] == second_text]
        marks |= dict.fromkeys(second, "second")
    return marks


def _mean_text(entry: TableEntry) -> str:
    assert entry.summary is not None
    return entry.format.text(entry.summary.mean)


def _rules(is_reference: Sequence[bool]) -> tuple[int, ...]:
    """Return the row between references and students, if neither group is split."""
    rows = range(1, len(is_reference))
    changes = [row for row in rows if is_reference[row] != is_reference[row - 1]]
    return tuple(changes if len(changes) == 1 else ())


def _transposed(table: PaperTable, by: str) -> PaperTable:
    columns = zip(*(row for _, row in table.rows), strict=True)
    return replace(
        table,
        corner="metric" if by == "dataset" else "dataset",
        columns=tuple(label for label, _ in table.rows),
        rows=tuple(zip(table.columns, columns, strict=True)),
        rules=(),
    )
