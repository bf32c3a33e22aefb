"""Tables for a paper: methods by metrics or datasets, the best marked, and what must be said of it.

What is chosen and computed here is explained by `notes` and written by `formats`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from bench.analysis.quantities import Quantity, quantity
from bench.analysis.results import Metric, Results, Slot
from bench.analysis.statistics import holm, sign_flip_p, smallest_p
from bench.analysis.tables.board import Summary, summarise
from bench.errors import UsageError, nearest

ALPHA = 0.05
Mark = Literal["", "best", "second"]


@dataclass(frozen=True)
class Choice:
    """What of the results is shown, and how.

    Attributes:
        metrics: selectors; none: the headline metrics.
        datasets, labels: kept, in this order; none: all in the order of tables.
        by: "dataset": a table each, a column a metric; "metric": a table each, a column a dataset.
        transpose: methods as columns.
        sort: a selector: methods by it, the best first.
        digits: decimals of everything.
        raw: figures as recorded, not as papers print them.
    """

    metrics: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    by: str = "dataset"
    transpose: bool = False
    sort: str = ""
    digits: int | None = None
    raw: bool = False


@dataclass(frozen=True)
class Entry:
    """One figure of a table.

    Attributes:
        dataset, label, quantity: what it is of.
        summary: over seeds, in the printed unit; None: there is no figure.
        planned: seeds that were asked for.
        empty: what stands where there is no figure: "failed", "skipped", "not run" or "–".
        mark: of the best and the second.
        level: a test that could tell did not tell it from the best.
    """

    dataset: str
    label: str
    quantity: Quantity
    summary: Summary | None
    planned: int
    empty: str = "–"
    mark: Mark = ""
    level: bool = False

    @property
    def n(self) -> int:
        """Seeds in the mean."""
        return self.summary.n if self.summary else 0


@dataclass(frozen=True)
class Verdict:
    """What a test of one metric on one dataset can tell: of so many comparisons with n pairs."""

    n: int
    comparisons: int

    @property
    def tells(self) -> bool:
        """Whether the smallest p passes Holm's first step."""
        return self.comparisons > 0 and self.comparisons * smallest_p(self.n) <= ALPHA


@dataclass(frozen=True)
class Gap:
    """Cells of a method on a dataset that give no figure, and the first reason."""

    dataset: str
    label: str
    what: str
    reason: str


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: of the dataset or the metric that it is of.
        title: in words.
        corner: what rows are.
        columns: headers.
        rows: a heading and an entry a column.
        verdicts: of its datasets and metrics.
        gaps: what is missing.
        references: of its methods, those that are not ranked.
        rules: numbers of the rows that a thin rule stands before.
        remarks: whatever else must be said.
    """

    name: str
    title: str
    corner: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Entry, ...]], ...]
    verdicts: tuple[Verdict, ...] = ()
    gaps: tuple[Gap, ...] = ()
    references: tuple[str, ...] = ()
    rules: tuple[int, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def entries(self) -> Iterator[Entry]:
        """All, row by row."""
        return (entry for _, row in self.rows for entry in row)

    @cached_property
    def seeds(self) -> int:
        """The n of most figures."""
        counts = Counter(entry.n for entry in self.entries if entry.n)
        return max(counts, key=lambda n: (counts[n], n), default=0)


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
        self.datasets = _chosen(choice.datasets, results.datasets, "--dataset")
        self.labels = _chosen(choice.labels, results.labels(), "--method")
        self.planned: dict[tuple[str, str], list[int]] = {}
        for dataset, label, seed in results.cells:
            self.planned.setdefault((dataset, label), []).append(seed)
        metrics = [results.metric(text) for text in choice.metrics] or self._headlines()
        sorting = [results.metric(choice.sort)] if choice.sort else []
        found = results.many_figures(list(dict.fromkeys([*metrics, *sorting])))
        self.figures = {metric: self._kept(metric, found[metric]) for metric in found}
        self.quantities = {
            metric: quantity(metric, self.figures[metric].values(), choice.digits, choice.raw)
            for metric in dict.fromkeys(metrics)
        }
        self.columns: dict[tuple[str, Metric], dict[str, Entry]] = {}
        self.verdicts: dict[tuple[str, Metric], Verdict] = {}
        for metric in self.quantities:
            for dataset in self._having(metric):
                self._fill(dataset, metric)

    def _headlines(self) -> list[Metric]:
        rows = [row for row in self.results.rows if row["status"] == "ok"]
        rows = [r for r in rows if r["dataset"] in self.datasets and r["label"] in self.labels]
        known = self.results.manifest["metrics"].items()
        names = [name for name, metric in known if metric["headline"]]
        metrics = [self.results.metric(n) for n in names if any(row.get(n) for row in rows)]
        if not metrics:
            chosen = ", ".join([*self.choice.datasets, *self.choice.labels])
            raise UsageError(f"{chosen}: no cell has a figure")
        return metrics

    def _kept(self, metric: Metric, figures: Mapping[Slot, float]) -> dict[Slot, float]:
        """Of the chosen datasets and labels."""
        labels, datasets = frozenset(self.labels), frozenset(self.datasets)
        kept = {s: v for s, v in figures.items() if s[0] in datasets and s[1] in labels}
        if not kept:
            where = ", ".join([*self.choice.datasets, *self.choice.labels])
            raise UsageError(f"{metric}: no cell of {where} has this figure")
        return kept

    def _having(self, metric: Metric) -> list[str]:
        """Datasets with at least one figure of a metric: it applies to their task."""
        having = {dataset for dataset, _, _ in self.figures[metric]}
        return [dataset for dataset in self.datasets if dataset in having]

    # Entries

    def _fill(self, dataset: str, metric: Metric) -> None:
        """The entries of one metric on one dataset."""
        what = self.quantities[metric]
        values: dict[str, dict[int, float]] = {}
        for (each, label, seed), value in self.figures[metric].items():
            if each == dataset:
                values.setdefault(label, {})[seed] = what.of(value)
        entries = {}
        for label in self.labels:
            planned = self.planned.get((dataset, label), [])
            found = summarise(list(values[label].values())) if label in values else None
            empty = self._empty(dataset, label) if not found else ""
            entries[label] = Entry(dataset, label, what, found, len(planned), empty)
        ranked = self._ranked(entries, what)
        verdict, level = self._tested(dataset, values, ranked)
        marks = _marks(ranked, entries)
        self.columns[dataset, metric] = {
            label: replace(entry, mark=marks.get(label, ""), level=label in level)
            for label, entry in entries.items()
        }
        self.verdicts[dataset, metric] = verdict

    def _empty(self, dataset: str, label: str) -> str:
        states = self._states(dataset, label)
        return "–" if "ok" in states or not states else next(iter(states))

    def _states(self, dataset: str, label: str) -> Counter[str]:
        seeds = self.planned.get((dataset, label), [])
        return Counter(self.results.states.get((dataset, label, seed), "not run") for seed in seeds)

    def _ranked(self, entries: Mapping[str, Entry], what: Quantity) -> list[str]:
        """Students from best to worst: those with all the seeds that any of them has."""
        students = {
            label: entry.summary
            for label, entry in entries.items()
            if entry.summary and label not in self.results.references
        }
        most = max((summary.n for summary in students.values()), default=0)
        means = {
            label: summary.mean
            for label, summary in students.items()
            if what.better and summary.n == most and math.isfinite(summary.mean)
        }
        return sorted(means, key=lambda label: means[label], reverse=what.better == "higher")

    def _tested(
        self, dataset: str, values: Mapping[str, Mapping[int, float]], ranked: Sequence[str]
    ) -> tuple[Verdict, set[str]]:
        """Each student against the best, paired by seed and teacher: those a test can't tell."""
        pairs = {}
        for label in ranked[1:]:
            shared = [
                seed
                for seed in values[label]
                if seed in values[ranked[0]]
                and self._measured(dataset, label, seed) == self._measured(dataset, ranked[0], seed)
            ]
            if shared:
                pairs[label] = [values[label][s] - values[ranked[0]][s] for s in shared]
        verdict = Verdict(min(map(len, pairs.values()), default=0), len(pairs))
        if not verdict.tells:
            return verdict, set()
        adjusted = holm([sign_flip_p(differences) for differences in pairs.values()])
        return verdict, {label for label, p in zip(pairs, adjusted, strict=True) if p > ALPHA}

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
        self, name: str, title: str, columns: Sequence[tuple[str, tuple[str, Metric]]]
    ) -> Table:
        datasets = list(dict.fromkeys(dataset for _, (dataset, _) in columns))
        labels = self._sorted(datasets)
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
            tuple(self.verdicts[key] for key in keys if self.verdicts[key].comparisons),
            tuple(self._gaps(datasets, labels)),
            references,
            tuple(rules if len(rules) == 1 else ()),
        )
        return _transposed(table, self.choice.by) if self.choice.transpose else table

    def _sorted(self, datasets: Sequence[str]) -> list[str]:
        """Labels that were asked for on these datasets, in the order of rows."""
        labels = [each for each in self.labels if any((d, each) in self.planned for d in datasets)]
        if not self.choice.sort:
            return labels
        metric = self.results.metric(self.choice.sort)
        sign = -1 if metric.better == "higher" else 1
        places: dict[str, list[int]] = {}
        for dataset in datasets:
            values: dict[str, list[float]] = {}
            for (each, label, _), value in self.figures[metric].items():
                if each == dataset and math.isfinite(value):
                    values.setdefault(label, []).append(sign * value)
            means = {label: summarise(each).mean for label, each in values.items()}
            for place, label in enumerate(sorted(means, key=lambda each: means[each])):
                places.setdefault(label, []).append(place)
        average = {label: summarise(each).mean for label, each in places.items()}
        return sorted(labels, key=lambda label: average.get(label, math.inf))

    def _gaps(self, datasets: Sequence[str], labels: Sequence[str]) -> Iterator[Gap]:
        for dataset in datasets:
            for label in labels:
                states = self._states(dataset, label)
                total = sum(states.values())
                bad = [f"{n} {state}" for state, n in states.items() if state != "ok"]
                if bad:
                    what = f"{' and '.join(bad)} of {total}"
                    yield Gap(dataset, label, what, self._reason(dataset, label))

    def _reason(self, dataset: str, label: str) -> str:
        for seed in self.planned[dataset, label]:
            slot = dataset, label, seed
            if self.results.states.get(slot, "ok") != "ok":
                record = self.results.record(slot)
                return str(record["reason"]) if record else ""
        return ""


def _chosen(wanted: Sequence[str], known: Sequence[str], option: str) -> list[str]:
    for name in wanted:
        if name not in known:
            raise UsageError(f"{option} {name}: not in these runs{nearest(name, known)}")
    return list(dict.fromkeys(wanted or known))


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
