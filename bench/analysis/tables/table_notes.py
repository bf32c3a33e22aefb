"""What must be said below a table: n, what ± is, the marks, and what is missing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from distillation_bench.bench.analysis.holm import seeds_needed
from distillation_bench.bench.analysis.old_chance_level import CHANCE_SIGN, TeacherDetection
from distillation_bench.bench.analysis.old_values_at_bounds import BOUND_NOTE
from distillation_bench.bench.analysis.statistics import ALPHA
from distillation_bench.bench.analysis.tables.table_model import BestStudentTests, PaperTable
from distillation_bench.bench.common.text import truncated


def table_notes(
    table: PaperTable,
    legend: tuple[str, str],
    with_reasons: bool = True,
    chance_sign: str = CHANCE_SIGN,
) -> list[str]:
    """Return what must be said of a table, in sentences.

    Args:
        table: the table.
        legend: how the best and the second are marked.
        with_reasons: whether to say why cells have no values.
        chance_sign: how values are marked in which the teacher itself is worse than chance.
    """
    return [
        _seeds_note(table),
        *_metric_notes(table),
        *table.remarks,
        *_mark_notes(table, legend),
        *_chance_notes(table, chance_sign),
        *([BOUND_NOTE] if any(entry.at_bound for entry in table.entries) else []),
        *_missing_notes(table, with_reasons),
    ]


def _seeds_note(table: PaperTable) -> str:
    metrics = [entry.format.metric for entry in table.entries]
    sets = "on the test split unless a column names another set"
    if all(metric.headline or metric.set == "test" for metric in metrics):
        sets = "on the test split"
    mean = "mean ± standard deviation (n − 1) over n"
    if table.usual_n == 1:
        text, exception = f"One seed, so no deviation, {sets}.", f"{mean} seeds instead."
    else:
        text, exception = f"M{mean[1:]} = {table.usual_n} seeds, {sets}.", "over n seeds only."
    if any(entry.summary and not math.isfinite(entry.summary.mean) for entry in table.entries):
        text += " nan or inf: at least one seed has such a value."
    return f"{text} (n) after a value: {exception}" if _is_uneven(table) else text


def _is_uneven(table: PaperTable) -> bool:
    """Return whether some values are over fewer or more seeds than most."""
    return any(entry.n not in (0, table.usual_n) for entry in table.entries)


def _metric_notes(table: PaperTable) -> list[str]:
    """Return what the metrics depend on, each once."""
    parts = (part for entry in table.entries for part in entry.format.note.split("; ") if part)
    text = "; ".join(dict.fromkeys(parts))
    return [f"{text[0].upper()}{text[1:]}."] if text else []


def _mark_notes(table: PaperTable, legend: tuple[str, str]) -> list[str]:
    if not any(entry.mark for entry in table.entries):
        return []
    best, second = legend
    unranked = f"; {_listed(table.references)} not ranked" if table.references else ""
    condition = ", of those with all seeds" if _is_uneven(table) else ""
    note = f"{best}: best, {second}: second student by rounded mean{condition}{unranked}."
    return [note, *_test_notes(table.tests)]


def _test_notes(tests: Sequence[BestStudentTests]) -> Iterator[str]:
    """Yield what daggers mean, and which students could not be tested."""
    with_power = [test for test in tests if test.have_power]
    without_power = [test for test in tests if test.n and not test.have_power]
    if with_power:
        yield (
            "†: not statistically distinguishable from the best; ranked and without †: "
            "statistically distinguishable from it "
            f"(two-sided sign-flip tests paired by seed and teacher, p ≤ {ALPHA} after Holm's "
            f"correction for all pairs of students, {_comparisons(with_power)})."
        )
        if untested := _unique(label for test in with_power for label in test.untested):
            yield f"Not tested, for too few seeds shared with the best: {untested}."
    if unranked := _unique(label for test in tests for label in test.unranked):
        yield f"Neither ranked nor tested where a seed is missing or not finite: {unranked}."
    if without_power:
        needed = seeds_needed(max(test.comparisons for test in without_power))
        n = _range(n for test in without_power for n in test.n.values())
        yield (
            f"{'Elsewhere, at' if with_power else 'At'} n = {n}, no student can be statistically "
            f"distinguishable from the best: with {_comparisons(without_power)}, all pairs of "
            f"students, a paired test corrected by Holm needs {needed} seeds for p ≤ {ALPHA}."
        )


def _chance_notes(table: PaperTable, chance_sign: str) -> list[str]:
    """Return the metrics and datasets in which no student is best, or that is unknown."""
    detections: dict[tuple[str, str], TeacherDetection] = {}
    for entry in table.entries:
        if entry.detection is not None and entry.detection.reason:
            detections.setdefault((entry.format.name, entry.dataset), entry.detection)
    return [
        f"{chance_sign}: {name} on {dataset}, where {detection.reason}, so none is best, ranked or "
        "tested."
        if detection.is_below_chance
        else f"{name} on {dataset}: {detection.reason}."
        for (name, dataset), detection in detections.items()
    ]


def _missing_notes(table: PaperTable, with_reasons: bool) -> Iterator[str]:
    for cells in table.missing:
        text = truncated(" ".join(cells.reason.split())) if with_reasons else ""
        reason = f": {text}" if text else ""
        yield f"{cells.label} on {cells.dataset}: {cells.counts}{reason}."


def _unique(labels: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(labels))


def _comparisons(tests: Sequence[BestStudentTests]) -> str:
    count = _range(test.comparisons for test in tests)
    return f"{count} comparison{'' if count == '1' else 's'}"


def _range(numbers: Iterable[int]) -> str:
    low, *_, high = sorted([*numbers] * 2)
    return str(low) if low == high else f"{low} to {high}"


def _listed(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"{names[0]} is"
    return f"{', '.join(names[:-1])} and {names[-1]} are"
