"""Tables for a paper: methods by metrics or datasets, the best marked, and what must be said of it.

What is chosen and computed here is explained by `notes` and written by `formats`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from statistics import fmean

from distillation_bench.bench.analysis.chance_level import (
    auroc_metrics,
    teacher_detections,
    teacher_labels,
)
from distillation_bench.bench.analysis.metric_formats import MetricFormat, metric_format
from distillation_bench.bench.analysis.results import MetricInfo, Results
from distillation_bench.bench.analysis.statistics import ALPHA, holm, sign_flip_p
from distillation_bench.bench.analysis.summaries import best_first, summarise
from distillation_bench.bench.analysis.tables.entries import (
    Choice,
    Entry,
    Gap,
    Mark,
    Table,
    Verdict,
    can_tell,
)
from distillation_bench.bench.analysis.values_at_bounds import (
    TEMPERED_METRICS,
    describe_clamped_variances,
    temperatures_at_bound,
)
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.storage.tables import CellKey


def make_tables(results: Results, choice: Choice) -> list[Table]:
    """Compute what was chosen.

    Raises:
        UsageError: there is no such dataset, method or metric, or no figure of it.
    """
    return _Maker(results, choice).tables()


class _Maker:
    """Tables of one choice: figures are read once and marked by dataset and metric."""

    def __init__(self, results: Results, choice: Choice) -> None:
        self.results, self.choice = results, choice
        self.datasets = results.select_datasets(choice.datasets)
        self.labels = results.select_labels(choice.labels)
        self.planned: dict[tuple[str, str], list[int]] = {}
        for dataset, label, seed in results.cells:
            self.planned.setdefault((dataset, label), []).append(seed)
        metrics = [results.metric(text) for text in choice.metrics] or self._headlines()
        sorting = [results.metric(choice.sort)] if choice.sort else []
        asked = list(dict.fromkeys([*metrics, *sorting]))
        read = results.values_of(asked, auroc_metrics(asked).values())
        self.standings = teacher_detections(results, asked, read)
        self.at_bound = temperatures_at_bound(results.rows)
        found = {metric: self._kept(metric, read[metric]) for metric in asked}
        self.figures = {metric: _grouped(figures) for metric, figures in found.items()}
        self.quantities = {
            metric: metric_format(metric, found[metric].values(), choice.digits, choice.raw)
            for metric in dict.fromkeys(metrics)
        }
        self.columns: dict[tuple[str, MetricInfo], dict[str, Entry]] = {}
        self.verdicts: dict[tuple[str, MetricInfo], Verdict] = {}
        for metric in self.quantities:
            for dataset in self._having(metric):
                self._fill(dataset, metric)

    def _headlines(self) -> list[MetricInfo]:
        rows = [row for row in self.results.rows if row["status"] == "done"]
        rows = [r for r in rows if r["dataset"] in self.datasets and r["label"] in self.labels]
        known = self.results.manifest["metrics"].items()
        names = [name for name, metric in known if metric["headline"]]
        metrics = [self.results.metric(n) for n in names if any(row.get(n) for row in rows)]
        if not metrics:
            chosen = ", ".join([*self.choice.datasets, *self.choice.labels])
            raise UsageError(f"{chosen or 'table'}: no cell has a headline figure; give --metric")
        return metrics

    def _kept(self, metric: MetricInfo, figures: Mapping[CellKey, float]) -> dict[CellKey, float]:
        """Of the chosen datasets and labels."""
        labels, datasets = frozenset(self.labels), frozenset(self.datasets)
        kept = {s: v for s, v in figures.items() if s[0] in datasets and s[1] in labels}
        if not kept:
            where = ", ".join([*self.choice.datasets, *self.choice.labels])
            raise UsageError(f"{metric}: no cell of {where} has this figure")
        return kept

    def _having(self, metric: MetricInfo) -> list[str]:
        """Datasets with at least one figure of a metric: it applies to their task."""
        return [dataset for dataset in self.datasets if dataset in self.figures[metric]]

    # Entries

    def _fill(self, dataset: str, metric: MetricInfo) -> None:
        """The entries of one metric on one dataset."""
        what = self.quantities[metric]
        values = {
            label: {seed: what.convert(value) for seed, value in figures.items()}
            for label, figures in self.figures[metric][dataset].items()
        }
        entries = {}
        for label in self.labels:
            planned = self.planned.get((dataset, label), [])
            found = summarise(list(values[label].values())) if label in values else None
            empty = self._empty(dataset, label) if not found else ""
            entries[label] = Entry(
                dataset,
                label,
                what,
                found,
                len(planned),
                empty,
                standing=self.standings.get((dataset, metric)),
                at_bound=self._at_bound(dataset, label, metric),
            )
        ranked = [] if self._is_of_chance(dataset, metric) else self._ranked(entries, what)
        verdict = self._tested(dataset, values, ranked)
        marks = _marks(ranked, entries)
        self.columns[dataset, metric] = {
            label: replace(entry, mark=marks.get(label, ""), level=verdict.level.get(label))
            for label, entry in entries.items()
        }
        self.verdicts[dataset, metric] = verdict

    def _is_of_chance(self, dataset: str, metric: MetricInfo) -> bool:
        """Whether nothing is best in a metric on a dataset."""
        found = self.standings.get((dataset, metric))
        return found is not None and found.is_below_chance

    def _at_bound(self, dataset: str, label: str, metric: MetricInfo) -> int:
        """Seeds with a figure that depends on a temperature at a bound."""
        if metric.name not in TEMPERED_METRICS:
            return 0
        seeds = self.figures[metric][dataset].get(label, {})
        return sum((dataset, label, seed) in self.at_bound for seed in seeds)

    def _empty(self, dataset: str, label: str) -> str:
        statuses = self._statuses(dataset, label)
        return "–" if "done" in statuses or not statuses else next(iter(statuses))

    def _statuses(self, dataset: str, label: str) -> Counter[str]:
        seeds = self.planned.get((dataset, label), [])
        slots = ((dataset, label, seed) for seed in seeds)
        return Counter(self.results.statuses[slot] for slot in slots)

    def _ranked(self, entries: Mapping[str, Entry], what: MetricFormat) -> list[str]:
        """Students from best to worst: those with all the seeds that any of them has."""
        students = {
            label: entry.summary
            for label, entry in entries.items()
            if entry.summary and label not in self.results.references
        }
        ranked = best_first(students, what.better) if what.better else []
        return [label for label in ranked if math.isfinite(students[label].mean)]

    def _tested(
        self, dataset: str, values: Mapping[str, Mapping[int, float]], ranked: Sequence[str]
    ) -> Verdict:
        """Each pair of ranked students, paired by seed and teacher; the first is the best."""
        pairs = {}
        for first, second in combinations(ranked, 2):
            differences = self._differences(dataset, values, first, second)
            if differences:
                pairs[first, second] = differences
        p = dict.fromkeys(pairs, 1.0)
        if any(can_tell(len(pairs), len(differences)) for differences in pairs.values()):
            adjusted = holm([sign_flip_p(differences) for differences in pairs.values()])
            p = dict(zip(pairs, adjusted, strict=True))
        n = {label: len(pairs.get((ranked[0], label), ())) for label in ranked[1:]}
        level = {
            label: p[ranked[0], label] > ALPHA
            for label in n
            if can_tell(len(pairs), n[label]) or p.get((ranked[0], label), 1.0) <= ALPHA
        }
        unranked = tuple(
            label
            for label in values
            if ranked and label not in ranked and label not in self.results.references
        )
        return Verdict(len(pairs), n, level, unranked)

    def _differences(
        self, dataset: str, values: Mapping[str, Mapping[int, float]], first: str, second: str
    ) -> list[float]:
        """A student's figures minus another's, on the seeds and teachers that both have."""
        return [
            value - values[second][seed]
            for seed, value in values[first].items()
            if seed in values[second]
            and self._measured(dataset, first, seed) == self._measured(dataset, second, seed)
        ]

    def _measured(self, dataset: str, label: str, seed: int) -> object:
        return self.results.cells[dataset, label, seed]["measured"]

    # Layout

    def tables(self) -> list[Table]:
        if self.choice.by == "metric":
            return [
                self._table(str(m), q.header, [(d, (d, m)) for d in self._having(m)])
                for m, q in self.quantities.items()
            ]
        by_dataset = {
            dataset: [
                (each.header, (dataset, metric))
                for metric, each in self.quantities.items()
                if (dataset, metric) in self.columns
            ]
            for dataset in self.datasets
        }
        return [self._table(name, name, each) for name, each in by_dataset.items() if each]

    def _table(
        self, name: str, title: str, columns: Sequence[tuple[str, tuple[str, MetricInfo]]]
    ) -> Table:
        datasets = list(dict.fromkeys(dataset for _, (dataset, _) in columns))
        labels, remarks = self._sorted(datasets)
        remarks += self._clamped(datasets)
        keys = [key for _, key in columns]
        rows = [(label, tuple(self.columns[key][label] for key in keys)) for label in labels]
        headers = tuple(header for header, _ in columns)
        references = tuple(label for label in labels if label in self.results.references)
        is_reference = [label in references for label in labels]
        rules = [i for i in range(1, len(labels)) if is_reference[i] != is_reference[i - 1]]
        table = Table(
            name,
            title,
            "method",
            headers,
            tuple(rows),
            tuple(self.verdicts[key] for key in keys),
            tuple(self._gaps(datasets, labels)),
            references,
            tuple(rules if len(rules) == 1 else ()),
            remarks,
        )
        return _transposed(table, self.choice.by) if self.choice.transpose else table

    def _sorted(self, datasets: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
        """Labels that were asked for on these datasets, in the order of rows; what to say of it."""
        labels = [each for each in self.labels if any((d, each) in self.planned for d in datasets)]
        if not self.choice.sort:
            return labels, ()
        metric = self.results.metric(self.choice.sort)
        having = [dataset for dataset in datasets if dataset in self._having(metric)]
        used = [dataset for dataset in having if not self._is_of_chance(dataset, metric)]
        if not used:
            why = "worse than chance" if having else "no figures"
            return labels, (f"{metric}: {why}, nothing to put methods in order by.",)
        ranks: dict[str, list[int]] = {}
        for dataset in used:
            for place, label in enumerate(self._by_mean(dataset, metric)):
                ranks.setdefault(label, []).append(place)
        complete = [label for label in labels if len(ranks.get(label, ())) == len(used)]
        last = [label for label in labels if label not in complete]
        complete.sort(key=lambda label: fmean(ranks[label]))
        how = "average rank" if len(used) > 1 else "mean"
        remark = f"Methods by their {how} in {metric}"
        if last:
            remark += f"; last, where a seed is missing or not finite: {', '.join(last)}"
        return [*complete, *last], (f"{remark}.",)

    def _clamped(self, datasets: Sequence[str]) -> tuple[str, ...]:
        """Whose variances were clamped, a sentence a dataset."""
        kept, own = frozenset(self.labels), teacher_labels(self.results.manifest)
        rows: dict[str, list[Mapping[str, str]]] = {dataset: [] for dataset in datasets}
        for row in self.results.rows:
            if row["dataset"] in rows and row["label"] in kept and row["status"] == "done":
                rows[row["dataset"]].append(row)
        found = {dataset: describe_clamped_variances(each, own) for dataset, each in rows.items()}
        return tuple(f"On {dataset}, {words}." for dataset, words in found.items() if words)

    def _by_mean(self, dataset: str, metric: MetricInfo) -> list[str]:
        """Labels from best to worst, of those with all the seeds that any has, all finite."""
        values = self.figures[metric][dataset].items()
        summaries = {label: summarise([*each.values()]) for label, each in values}
        ranked = best_first(summaries, metric.better)
        return [label for label in ranked if math.isfinite(summaries[label].mean)]

    def _gaps(self, datasets: Sequence[str], labels: Sequence[str]) -> Iterator[Gap]:
        for dataset in datasets:
            for label in labels:
                statuses = self._statuses(dataset, label)
                total = sum(statuses.values())
                bad = [f"{n} {status}" for status, n in statuses.items() if status != "done"]
                if bad:
                    what = f"{' and '.join(bad)} of {total}"
                    yield Gap(dataset, label, what, self._reason(dataset, label))

    def _reason(self, dataset: str, label: str) -> str:
        for seed in self.planned[dataset, label]:
            slot = dataset, label, seed
            if self.results.statuses.get(slot) in ("failed", "skipped"):
                record = self.results.record(slot)
                return str(record["reason"]) if record else ""
        return ""


def _grouped(figures: Mapping[CellKey, float]) -> dict[str, dict[str, dict[int, float]]]:
    """By dataset, label and seed."""
    grouped: dict[str, dict[str, dict[int, float]]] = {}
    for (dataset, label, seed), value in figures.items():
        grouped.setdefault(dataset, {}).setdefault(label, {})[seed] = value
    return grouped


def _marks(ranked: Sequence[str], entries: Mapping[str, Entry]) -> dict[str, Mark]:
    """Best and second by the means that are printed; equal ones share, two bests leave no second.

    A single student is no winner.
    """
    if len(ranked) < 2:
        return {}
    texts = {label: _mean_text(entries[label]) for label in ranked}
    order = list(dict.fromkeys(texts.values()))
    best = [label for label in ranked if texts[label] == order[0]]
    marks: dict[str, Mark] = dict.fromkeys(best, "best")
    if len(best) == 1:
        marks |= dict.fromkeys([label for label in ranked if texts[label] == order[1]], "second")
    return marks


def _mean_text(entry: Entry) -> str:
    assert entry.summary is not None
    return entry.quantity.text(entry.summary.mean)


def _transposed(table: Table, by: str) -> Table:
    body = zip(*(row for _, row in table.rows), strict=True)
    return replace(
        table,
        corner="metric" if by == "dataset" else "dataset",
        columns=tuple(label for label, _ in table.rows),
        rows=tuple(zip(table.columns, body, strict=True)),
        rules=(),
    )
