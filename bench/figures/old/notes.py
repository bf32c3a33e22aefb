"""The note below a figure: what is shown, n, and the cells that are missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from distillation_bench.bench.analysis.old_chance_level import TeacherDetection
from distillation_bench.bench.analysis.old_metric_formats import metric_format
from distillation_bench.bench.analysis.old_missing_cells import describe_seeds
from distillation_bench.bench.analysis.old_results import MetricInfo
from distillation_bench.bench.common.text import counted
from distillation_bench.bench.figures.old.dataset_data import DatasetData


def note_over_seeds(
    data: DatasetData, text: str, counts: Mapping[str, int], labels: Sequence[str] = ()
) -> str:
    """Return the note of a figure that shows several seeds.

    Args:
        data: results of the dataset.
        text: what is shown.
        counts: number of seeds of each label that is shown.
        labels: labels whose missing cells are listed; by default all selected ones.
    """
    usual = Counter(counts.values()).most_common(1)[0][0] if counts else 0
    exceptions = [f"{label} n = {n}" for label, n in counts.items() if n != usual]
    missing = _missing_cells(data, counts, data.options.seed, labels or data.labels)
    start = f"{data.dataset}: {text}; n = {counted(usual, 'seed')}"
    return ". ".join([start, *exceptions, *missing]) + "."


def note_of_one_seed(data: DatasetData, text: str, labels: Iterable[str]) -> str:
    """Return the note of a figure that shows one seed of these labels."""
    missing = _missing_cells(data, frozenset(labels), data.seed, data.labels)
    return ". ".join([f"{data.dataset}: {text}; seed {data.seed}", *missing]) + "."


def _missing_cells(
    data: DatasetData,
    shown: Mapping[str, int] | frozenset[str],
    seed: int | None,
    labels: Sequence[str],
) -> list[str]:
    """Return each reason with the labels whose cells are missing for it."""
    by_reason: dict[str, list[str]] = {}
    for label in labels:
        if reason := _why_missing(data, label, seed, label in shown):
            by_reason.setdefault(reason, []).append(label)
    return [f"{reason}: {', '.join(names)}" for reason, names in by_reason.items()]


def _why_missing(data: DatasetData, label: str, seed: int | None, is_shown: bool) -> str:
    seeds_by_status: dict[str, list[int]] = {}
    for planned in data.results.seeds(data.dataset, label):
        status = data.status(label, planned)
        if seed in (None, planned) and status != "done":
            seeds_by_status.setdefault(status, []).append(planned)
    if not is_shown and not seeds_by_status:
        return "no data"
    if not is_shown and len(seeds_by_status) == 1 and "damaged" not in seeds_by_status:
        return next(iter(seeds_by_status))
    return describe_seeds(seeds_by_status)


def describe_intervals(counts: Mapping[str, int], addition: str = "") -> str:
    """Return what means and intervals are over, for a note, and what else is to be said."""
    text = "mean and 95 % t interval over seeds (arrow: it goes on)"
    if max(counts.values(), default=0) < 2:
        text = "a single seed has no interval"
    return f"{text}; {addition}" if addition else text


def describe_below_chance(below_chance: Mapping[MetricInfo, TeacherDetection]) -> str:
    """Return why metrics are grey, since the teacher is worse than chance; empty if none are."""
    if not below_chance:
        return ""
    reasons = dict.fromkeys(detection.reason for detection in below_chance.values())
    names = ", ".join(metric_format(metric, ()).name for metric in below_chance)
    return f"grey, and none is best: {names}, where {' and '.join(reasons)}"


def joined(*texts: str) -> str:
    """Join the texts that are not empty, for a note."""
    return "; ".join(filter(None, texts))
