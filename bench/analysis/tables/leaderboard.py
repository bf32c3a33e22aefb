"""The leaderboard: for each dataset, mean ± standard deviation over seeds, students ranked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from distillation_bench.bench.analysis.old_chance_level import (
    CHANCE_SIGN,
    TeacherDetection,
    auroc_metric,
    teacher_detection,
    teacher_labels,
)
from distillation_bench.bench.analysis.old_missing_cells import describe_counts
from distillation_bench.bench.analysis.old_results import reference_labels, table_order
from distillation_bench.bench.analysis.old_summaries import Summary, rank_students, summarise
from distillation_bench.bench.analysis.old_values_at_bounds import (
    ResultRow,
    describe_clamped_variances,
)

MarkedSummary = tuple[Summary | None, str]
"""A summary, or None without a value; and its mark: `best`, `second`, `chance` or empty."""


@dataclass(frozen=True)
class Leaderboard:
    """The leaderboard of one dataset.

    Attributes:
        dataset: name of the dataset.
        metrics: the columns, with the better direction of each.
        summaries: by label, the summary of each metric that it has.
        counts: by label, the number of cells in the means.
        notes: by label, which cells are failed, missing or skipped; empty if none are.
        references: labels that are not students and are not ranked.
        ood_note: over which OOD sets values are means, and which sets are absent.
        clamped_note: whose variances are at their bounds.
        detections: how well the teacher itself detects, by detection metric.
        remarks: remarks on the data.
    """

    dataset: str
    metrics: Mapping[str, str]
    summaries: Mapping[str, Mapping[str, Summary]]
    counts: Mapping[str, int]
    notes: Mapping[str, str]
    references: frozenset[str] = frozenset()
    ood_note: str = ""
    clamped_note: str = ""
    detections: Mapping[str, TeacherDetection] = field(default_factory=dict)
    remarks: Sequence[str] = ()

    @property
    def below_chance(self) -> frozenset[str]:
        """Metrics in which no student is best, since the teacher detects worse than chance."""
        return frozenset(name for name, d in self.detections.items() if d.is_below_chance)

    @property
    def footnotes(self) -> list[str]:
        """What must be said of the values, one line each."""
        chance = (
            f"{CHANCE_SIGN} {name}: {detection.reason}, so none is best and none is ranked"
            if detection.is_below_chance
            else f"{name}: {detection.reason}"
            for name, detection in self.detections.items()
            if detection.reason
        )
        lines = (self.ood_note, self.clamped_note, *chance, *self.remarks)
        return [line for line in lines if line]

    def ranked(self, metric: str) -> list[str]:
        """Return the students from best to worst by mean, of those with all seeds."""
        summaries = {k: row[metric] for k, row in self.summaries.items() if metric in row}
        below_chance = metric in self.below_chance
        return rank_students(summaries, self.metrics[metric], self.references, below_chance)

    def marks(self, metric: str) -> dict[str, str]:
        """Return `best` and `second` by label; `chance` for all labels below chance level."""
        if metric in self.below_chance:
            return dict.fromkeys(self.summaries, "chance")
        return dict(zip(self.ranked(metric), ("best", "second"), strict=False))

    def marked_rows(self) -> Iterator[tuple[str, list[MarkedSummary]]]:
        """Yield each label with its summary and mark in each metric."""
        marks = {name: self.marks(name) for name in self.metrics}
        for label, row in self.summaries.items():
            yield (
                label,
                [
                    (row[name], marks[name].get(label, "")) if name in row else (None, "")
                    for name in self.metrics
                ],
            )


def make_leaderboards(
    manifest: Mapping[str, Any],
    rows: Iterable[ResultRow],
    reasons: Mapping[tuple[str, str], str],
) -> list[Leaderboard]:
    """Return the leaderboard of each planned dataset, in order of name.

    Args:
        manifest: description of the run.
        rows: rows of results.csv.
        reasons: why cells of a (dataset, label) were skipped or failed, for the notes.
    """
    planned: dict[str, dict[str, list[int]]] = {}
    for cell in manifest["cells"].values():
        planned.setdefault(cell["dataset"], {}).setdefault(cell["label"], []).append(cell["seed"])
    finished: dict[tuple[str, str], list[ResultRow]] = {}
    for row in rows:
        finished.setdefault((row["dataset"], row["label"]), []).append(row)
    sort_key, leaderboards = table_order(manifest), []
    for dataset, seeds in sorted(planned.items()):
        labels = sorted(seeds, key=sort_key.__getitem__)
        label_rows = {label: finished.get((dataset, label), []) for label in labels}
        notes = {
            label: _missing_note(own_rows, len(seeds[label]), reasons.get((dataset, label), ""))
            for label, own_rows in label_rows.items()
        }
        leaderboards.append(_leaderboard(manifest, dataset, label_rows, notes))
    return leaderboards


def _leaderboard(
    manifest: Mapping[str, Any],
    dataset: str,
    rows: Mapping[str, Sequence[ResultRow]],
    notes: Mapping[str, str],
) -> Leaderboard:
    metrics = _metrics(manifest["metrics"], rows.values())
    done = {label: [r for r in group if r["status"] == "done"] for label, group in rows.items()}
    all_done = [row for group in done.values() for row in group]
    teachers = teacher_labels(manifest)
    return Leaderboard(
        dataset=dataset,
        metrics=metrics,
        summaries={label: _summaries(group, metrics) for label, group in done.items()},
        counts={label: len(group) for label, group in done.items()},
        notes=notes,
        references=reference_labels(manifest),
        ood_note=_ood_note(manifest.get("ood", {}).get(dataset, {})),
        clamped_note=describe_clamped_variances(all_done, teachers),
        detections=_detections([r for r in all_done if r["label"] in teachers], metrics),
        remarks=manifest.get("remarks", {}).get(dataset, ()),
    )


def _metrics(described: Mapping[str, Any], rows: Iterable[Sequence[ResultRow]]) -> dict[str, str]:
    """Return the headline metrics that have values, with their direction."""
    filled = {name for group in rows for row in group for name, value in row.items() if value}
    return {n: m["better"] for n, m in described.items() if m["headline"] and n in filled}


def _summaries(rows: Sequence[ResultRow], metrics: Iterable[str]) -> dict[str, Summary]:
    values = {m: [float(row[m]) for row in rows if row.get(m)] for m in metrics}
    return {metric: summarise(numbers) for metric, numbers in values.items() if numbers}


def _detections(
    teacher_rows: Sequence[ResultRow], metrics: Iterable[str]
) -> dict[str, TeacherDetection]:
    aurocs = {name: auroc for name in metrics if (auroc := auroc_metric(name))}
    return {
        name: teacher_detection(float(row[auroc]) for row in teacher_rows if row.get(auroc))
        for name, auroc in aurocs.items()
    }


def _ood_note(sets: Mapping[str, str]) -> str:
    """Return over which OOD sets the headline value is a mean, and which sets are absent."""
    present = [f"{name} ({group})" for name, group in sets.items() if "absent" not in group]
    absent = [name for name, group in sets.items() if "absent" in group]
    text = f"ood_auroc: mean over {', '.join(present)}, by total uncertainty" if present else ""
    missing = f"absent OOD sets: {', '.join(absent)}" if absent else ""
    return "; ".join(part for part in (text, missing) if part)


def _missing_note(rows: Sequence[ResultRow], planned: int, reason: str) -> str:
    """Return how many cells of a label have no values, with the reason: `1 failed of 3: …`."""
    missing = ["missing"] * (planned - len(rows))
    text = describe_counts([*(row["status"] for row in rows), *missing])
    return f"{text}: {reason}" if text and reason else text


# Average ranks


def leaderboards_ranked_by(leaderboards: Sequence[Leaderboard], metric: str) -> list[Leaderboard]:
    """Return the leaderboards in which students are ranked by a metric."""
    return [
        leaderboard
        for leaderboard in leaderboards
        if leaderboard.metrics.get(metric) and metric not in leaderboard.below_chance
    ]


def ranks_by_metric(leaderboards: Sequence[Leaderboard], metric: str) -> dict[str, float]:
    """Return average ranks by a metric, of labels that are ranked on every ranked dataset.

    1 is best, and ties share ranks.
    """
    ranks: dict[str, list[float]] = {}
    used = leaderboards_ranked_by(leaderboards, metric)
    for leaderboard in used:
        labels = leaderboard.ranked(metric)
        means = {label: leaderboard.summaries[label][metric].mean for label in labels}
        sign = -1 if leaderboard.metrics[metric] == "higher" else 1
        for label, mean in means.items():
            better = sum(sign * other < sign * mean for other in means.values())
            equal = sum(other == mean for other in means.values())
            ranks.setdefault(label, []).append(better + (equal + 1) / 2)
    return {k: fmean(positions) for k, positions in ranks.items() if len(positions) == len(used)}


def shared_ranks(leaderboards: Sequence[Leaderboard]) -> dict[str, dict[str, float]]:
    """Return average ranks by metric and label, for metrics that rank at least two datasets."""
    metrics = dict.fromkeys(name for board in leaderboards for name in board.metrics)
    shared = [name for name in metrics if len(leaderboards_ranked_by(leaderboards, name)) > 1]
    ranks = {name: ranks_by_metric(leaderboards, name) for name in shared}
    return {name: labels for name, labels in ranks.items() if labels}


def ranked_labels(
    leaderboards: Sequence[Leaderboard], ranks: Mapping[str, Mapping[str, float]]
) -> list[str]:
    """Return the labels that have an average rank by any metric, in the order of tables."""
    labels = dict.fromkeys(label for board in leaderboards for label in board.summaries)
    return [label for label in labels if any(label in by_label for by_label in ranks.values())]
