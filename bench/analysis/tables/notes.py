"""What a reader must know of a table: n, what ± is, the marks, what is missing; in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from bench.analysis.statistics import seeds_needed
from bench.analysis.tables.making import ALPHA, Table, Verdict


def notes(table: Table, legend: tuple[str, str], reasons: bool = True) -> list[str]:
    """What a reader must know, in sentences.

    Args:
        table: which.
        legend: how the best and the second are marked.
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
    for gap in table.gaps:
        reason = f": {_short(gap.reason)}" if reasons and gap.reason else ""
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


def _told(verdicts: Iterable[Verdict]) -> list[str]:
    """What the daggers mean, and of which comparisons none can be given."""
    can = [verdict for verdict in verdicts if verdict.tells]
    cannot = [verdict for verdict in verdicts if not verdict.tells]
    parts = []
    if can:
        parts.append(
            "†: not distinguishable from the best (two-sided sign-flip test paired by seed and "
            f"teacher, Holm's correction for {_compared(can)}, "
            f"p > {ALPHA})."
        )
    if cannot:
        worst = max(verdict.comparisons for verdict in cannot)
        parts.append(
            f"{'Elsewhere n' if can else 'n'} = {_range(v.n for v in cannot)} cannot tell a "
            f"student from the best: with {_compared(cannot)} a "
            f"paired test corrected by Holm needs {seeds_needed(worst)} seeds for p ≤ {ALPHA}."
        )
    return parts


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


def _short(text: str, length: int = 90) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[: length - 1]}…"
