"""What must be said of tables, once for all: n, what ± is, what metrics depend on, the marks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from distillation_bench.bench.analysis.chance_level import TeacherDetection
from distillation_bench.bench.analysis.statistics import ALPHA, can_reach_alpha, seeds_needed
from distillation_bench.bench.analysis.values_at_bounds import BOUND_NOTE

if TYPE_CHECKING:
    from distillation_bench.bench.analysis.tables.table import Table


class Signs(NamedTuple):
    """How the best and the second value are marked, and those that are worse than chance."""

    best: str
    second: str
    chance: str


def entries_of(tables: Iterable[Table]) -> pd.DataFrame:
    """Return the entries of several tables."""
    return pd.concat([table.entries for table in tables])


def shared_notes(entries: pd.DataFrame, signs: Signs) -> list[str]:
    """Return what must be said of the entries of one table or several, in sentences."""
    if entries.empty:
        return []
    notes = [_seeds_note(entries), *_metric_notes(entries)]
    if entries["mark"].ne("").any():
        notes += [_marks_note(entries, signs), *_test_notes(entries)]
    notes += chance_notes(entries, signs.chance)
    return [*notes, BOUND_NOTE] if entries["at_bound"].any() else notes


def seeds_text(entries: pd.DataFrame) -> str:
    """Return the n of most values, `n = 3`; only `n` where tables differ in it."""
    usual = entries["usual"][entries["n"] > 0].unique()
    return f"n = {usual[0]}" if len(usual) == 1 else "n"


def _is_uneven(entries: pd.DataFrame) -> bool:
    """Return whether some values are over fewer or more seeds than most."""
    return bool((entries["n"].ne(0) & entries["n"].ne(entries["usual"])).any())


def _seeds_note(entries: pd.DataFrame) -> str:
    named = any(format.metric.place for format in entries["format"])
    where = f"on the test split{' unless a column names another set' if named else ''}"
    mean, seeds = "ean ± standard deviation (n − 1) over", seeds_text(entries)
    if seeds == "n = 1":
        text, exception = f"One seed, so no deviation, {where}.", f"m{mean} n seeds instead."
    else:
        text, exception = f"M{mean} {seeds} seeds, {where}.", "over n seeds only."
    if (entries["n"].gt(0) & ~np.isfinite(entries["mean"])).any():
        text += " nan or inf: at least one seed has such a value."
    return f"{text} (n) after a value: {exception}" if _is_uneven(entries) else text


def _metric_notes(entries: pd.DataFrame) -> list[str]:
    """Return what the metrics depend on, each once."""
    text = _unique(part for f in entries["format"] for part in f.note.split("; ") if part)
    return [f"{text[0].upper()}{text[1:]}."] if text else []


def _marks_note(entries: pd.DataFrame, signs: Signs) -> str:
    second = (
        f", {signs.second}: second student" if entries["mark"].eq("second").any() else " student"
    )
    note = f"{signs.best}: best{second} by rounded mean"
    if _is_uneven(entries):
        note += ", of those with all seeds"
    if names := list(entries["label"][entries["reference"]].unique()):
        *others, last = names
        note += f"; {', '.join(others)} and {last} are" if others else f"; {last} is"
        note += " not ranked"
    if not entries["comparisons"].any():
        note += "; with few seeds they may not be statistically distinguishable"
    return f"{note}."


def _test_notes(entries: pd.DataFrame) -> Iterator[str]:
    """Yield what daggers mean, and which students could not be tested."""
    if not entries["comparisons"].any():
        return
    # A place is one column of methods: a dataset and a metric.
    entries = entries.assign(place=[*zip(entries["dataset"], entries["format"], strict=True)])
    compared = entries[entries["shared"].notna()]
    reach = map(can_reach_alpha, compared["comparisons"], compared["shared"].astype(int))
    has_power = compared["place"].isin(compared["place"][[*reach]])
    tested, untested = compared[has_power], compared[~has_power]
    if len(tested):
        yield (
            "†: not statistically distinguishable from the best; ranked and without †: "
            "statistically distinguishable from it "
            f"(two-sided sign-flip tests paired by seed and teacher, p ≤ {ALPHA} after Holm's "
            f"correction for all pairs of students, {_comparisons(tested)})."
        )
        if names := _unique(tested["label"][tested["level"].eq("")], ", "):
            yield f"Not tested, for too few seeds shared with the best: {names}."
    is_ranked = entries["place"].isin(entries["place"][entries["rank"].notna()])
    left_out = is_ranked & entries["rank"].isna() & entries["n"].gt(0) & ~entries["reference"]
    if names := _unique(entries["label"][left_out], ", "):
        yield f"Neither ranked nor tested where a seed is missing or not finite: {names}."
    if len(untested):
        yield (
            f"{'Elsewhere, at' if len(tested) else 'At'} n = {_range(untested['shared'])}, no "
            "student can be statistically distinguishable from the best: with "
            f"{_comparisons(untested)}, all pairs of students, a paired test corrected by Holm "
            f"needs {seeds_needed(untested['comparisons'].max())} seeds for p ≤ {ALPHA}."
        )


def chance_notes(entries: pd.DataFrame, sign: str) -> Iterator[str]:
    """Yield the metrics and datasets in which no student is best, or that is unknown."""
    detecting = entries[entries["chance"].isin(["worse", "unknown"])]
    labels: dict[tuple[str, str], dict[str, list[str]]] = {}
    for each in detecting.itertuples():
        reasons = labels.setdefault((each.format.name, each.dataset), {})
        reasons.setdefault(TeacherDetection(each.auroc).reason, []).append(each.label)
    for (name, dataset), reasons in labels.items():
        for reason, of in reasons.items():
            # Methods of several protocols have teachers of their own.
            whose = f" of {', '.join(of)}" if len(reasons) > 1 else ""
            place = f"{name} on {dataset}{whose}"
            if reason == TeacherDetection(math.nan).reason:
                yield f"{place}: {reason}."
            else:
                yield f"{sign}: {place}, where {reason}, so none is best, ranked or tested."


def _unique(texts: Iterable[str], separator: str = "; ") -> str:
    return separator.join(dict.fromkeys(texts))


def _comparisons(entries: pd.DataFrame) -> str:
    count = _range(entries["comparisons"])
    return f"{count} comparison{'' if count == '1' else 's'}"


def _range(numbers: pd.Series) -> str:
    low, high = int(numbers.min()), int(numbers.max())
    return str(low) if low == high else f"{low} to {high}"
