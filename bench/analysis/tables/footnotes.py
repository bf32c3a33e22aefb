"""What a reader must know of a table: n, what ± is, the marks, what is missing; in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from distillation_bench.bench.analysis.chance_level import CHANCE_SIGN, TeacherDetection
from distillation_bench.bench.analysis.statistics import ALPHA, seeds_needed
from distillation_bench.bench.analysis.tables.entries import Table, Verdict
from distillation_bench.bench.analysis.values_at_bounds import BOUND_NOTE
from distillation_bench.bench.common.text import truncated


def notes(
    table: Table, legend: tuple[str, str], reasons: bool = True, grey: str = CHANCE_SIGN
) -> list[str]:
    """What a reader must know, in sentences.

    Args:
        table: which.
        legend: how the best and the second are marked.
        grey: how figures are marked in which the teacher itself is worse than chance.
        reasons: with the reason of what is missing.
    """
    parts = [_over(table), *_details(table), *table.remarks]
    if any(entry.mark for entry in table.entries):
        best, second = legend
        unranked = f"; {_listed(table.references)} not ranked" if table.references else ""
        parts.append(
            f"{best}: best, {second}: second student by rounded mean"
            f"{', of those with all seeds' if _uneven(table) else ''}{unranked}."
        )
        parts += _told(table.verdicts)
    parts += _of_chance(table, grey)
    if any(entry.at_bound for entry in table.entries):
        parts.append(BOUND_NOTE)
    for gap in table.gaps:
        reason = f": {truncated(' '.join(gap.reason.split()))}" if reasons and gap.reason else ""
        parts.append(f"{gap.label} on {gap.dataset}: {gap.what}{reason}.")
    return parts


def _over(table: Table) -> str:
    sets = "on the test split unless a column names another set"
    if all(e.quantity.metric.headline or e.quantity.metric.set == "test" for e in table.entries):
        sets = "on the test split"
    mean = "mean ± standard deviation (n − 1) over n"
    if table.seeds == 1:
        text, other = f"One seed, so no deviation, {sets}.", f"{mean} seeds instead."
    else:
        text, other = f"M{mean[1:]} = {table.seeds} seeds, {sets}.", "over n seeds only."
    if any(entry.summary and not math.isfinite(entry.summary.mean) for entry in table.entries):
        text += " nan or inf: the figure of at least one seed is so."
    return f"{text} (n) after a figure: {other}" if _uneven(table) else text


def _uneven(table: Table) -> bool:
    return any(entry.n not in (0, table.seeds) for entry in table.entries)


def _details(table: Table) -> list[str]:
    """What the metrics depend on, each once."""
    found = (part for e in table.entries for part in e.quantity.note.split("; ") if part)
    details = "; ".join(dict.fromkeys(found))
    return [f"{details[0].upper()}{details[1:]}."] if details else []


def _told(verdicts: Sequence[Verdict]) -> list[str]:
    """What daggers mean, what none means, and of which comparisons none can be given."""
    can = [verdict for verdict in verdicts if verdict.tells]
    cannot = [verdict for verdict in verdicts if verdict.n and not verdict.tells]
    parts = []
    if can:
        parts.append(
            "†: not distinguishable from the best; ranked and without †: told apart from it "
            f"(two-sided sign-flip tests paired by seed and teacher, p ≤ {ALPHA} after Holm's "
            f"correction for all pairs of students, {_compared(can)})."
        )
        if untold := _each(label for verdict in can for label in verdict.untold):
            parts.append(f"Not tested, for too few seeds shared with the best: {untold}.")
    if unranked := _each(label for verdict in verdicts for label in verdict.unranked):
        parts.append(
            f"Neither ranked nor tested where a seed is missing or not finite: {unranked}."
        )
    if cannot:
        pairs = max(verdict.comparisons for verdict in cannot)
        needed = seeds_needed(pairs)
        reach = f"needs {needed} seeds for" if needed else "of any number of seeds cannot reach"
        parts.append(
            f"{'Elsewhere n' if can else 'n'} = {_range(n for v in cannot for n in v.n.values())} "
            f"cannot tell a student from the best: with {_compared(cannot)}, all pairs of "
            f"students, a paired test corrected by Holm {reach} p ≤ {ALPHA}."
        )
    return parts


def _of_chance(table: Table, grey: str) -> list[str]:
    """In which metrics on which datasets nothing is best, or nobody knows."""
    found: dict[tuple[str, str], TeacherDetection] = {}
    for entry in table.entries:
        if entry.standing is not None and entry.standing.reason:
            found.setdefault((entry.quantity.name, entry.dataset), entry.standing)
    return [
        f"{grey}: {name} on {dataset}, where {each.reason}, so none is best, ranked or tested."
        if each.is_below_chance
        else f"{name} on {dataset}: {each.reason}."
        for (name, dataset), each in found.items()
    ]


def _each(labels: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(labels))


def _compared(verdicts: Sequence[Verdict]) -> str:
    count = _range(verdict.comparisons for verdict in verdicts)
    return f"{count} comparison{'' if count == '1' else 's'}"


def _range(numbers: Iterable[int]) -> str:
    low, *_, high = sorted([*numbers] * 2)
    return str(low) if low == high else f"{low} to {high}"


def _listed(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"{names[0]} is"
    return f"{', '.join(names[:-1])} and {names[-1]} are"
