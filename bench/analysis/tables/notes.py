"""What must be said of tables, once for all: n, what ± is, what metrics depend on, the marks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from distillation_bench.bench.analysis.chance_level import TeacherDetection
from distillation_bench.bench.analysis.values_at_bounds import BOUND_NOTE

UNTESTED = "; with few seeds they may not be statistically distinguishable"


class Signs(NamedTuple):
    """How the best and the second value are marked, and those that are worse than chance."""

    best: str
    second: str
    chance: str


def shared_notes(entries: pd.DataFrame, signs: Signs) -> list[str]:
    """Return what must be said of the entries of one table or several, in sentences."""
    if entries.empty:
        return []
    notes = [_seeds_note(entries), *_metric_notes(entries)]
    if entries["mark"].ne("").any():
        names = entries["label"][entries["reference"]].astype(str).unique()
        unranked = f"; {_listed(names)} not ranked" if len(names) else ""
        condition = ", of those with all seeds" if is_uneven(entries) else ""
        note = f"{signs.best}: best, {signs.second}: second student by rounded mean"
        tested = entries["comparisons"].any()
        notes.append(f"{note}{condition}{unranked}{'' if tested else UNTESTED}.")
        notes += _test_notes(entries) if tested else []
    notes += _chance_notes(entries, signs.chance)
    return [*notes, BOUND_NOTE] if entries["at_bound"].any() else notes


def seeds_text(entries: pd.DataFrame) -> str:
    """Return the n of most values, `n = 3`; only `n` where tables differ in it."""
    usual = entries["usual"][entries["n"] > 0].unique()
    return f"n = {usual[0]}" if len(usual) == 1 else "n"


def is_uneven(entries: pd.DataFrame) -> bool:
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
    return f"{text} (n) after a value: {exception}" if is_uneven(entries) else text


def _metric_notes(entries: pd.DataFrame) -> list[str]:
    """Return what the metrics depend on, each once."""
    parts = (part for format in entries["format"] for part in format.note.split("; ") if part)
    text = "; ".join(dict.fromkeys(parts))
    return [f"{text[0].upper()}{text[1:]}."] if text else []


def _test_notes(entries: pd.DataFrame) -> Iterator[str]:
    """Yield what daggers mean, and which students could not be tested."""
    # SciPy is imported for tests alone.
    from distillation_bench.bench.analysis.holm import can_reach_alpha, seeds_needed
    from distillation_bench.bench.analysis.statistics import ALPHA

    compared = entries[entries["shared"].notna()]
    reach = [can_reach_alpha(c, int(n)) for c, n in compared[["comparisons", "shared"]].to_numpy()]
    has_power = compared.assign(reach=reach).groupby(_place(compared))["reach"].transform("any")
    has_power = has_power.astype(bool)
    tested, untested = compared[has_power], compared[~has_power]
    if len(tested):
        yield (
            "†: not statistically distinguishable from the best; ranked and without †: "
            "statistically distinguishable from it "
            f"(two-sided sign-flip tests paired by seed and teacher, p ≤ {ALPHA} after Holm's "
            f"correction for all pairs of students, {_comparisons(tested)})."
        )
        if names := _unique(tested["label"][tested["level"].eq("")]):
            yield f"Not tested, for too few seeds shared with the best: {names}."
    is_ranked = entries.groupby(_place(entries))["rank"].transform("count") > 0
    left_out = is_ranked & entries["rank"].isna() & entries["n"].gt(0) & ~entries["reference"]
    if names := _unique(entries["label"][left_out]):
        yield f"Neither ranked nor tested where a seed is missing or not finite: {names}."
    if len(untested):
        yield (
            f"{'Elsewhere, at' if len(tested) else 'At'} n = {_range(untested['shared'])}, no "
            "student can be statistically distinguishable from the best: with "
            f"{_comparisons(untested)}, all pairs of students, a paired test corrected by Holm "
            f"needs {seeds_needed(untested['comparisons'].max())} seeds for p ≤ {ALPHA}."
        )


def _place(entries: pd.DataFrame) -> list[pd.Series]:
    """Return what entries of one column of methods share: the dataset and the metric."""
    return [entries["dataset"], entries["format"].map(lambda format: str(format.metric))]


def _chance_notes(entries: pd.DataFrame, sign: str) -> Iterator[str]:
    """Yield the metrics and datasets in which no student is best, or that is unknown."""
    detecting = entries[entries["chance"].isin(["worse", "unknown"])]
    places = zip(detecting["format"], detecting["dataset"], detecting["auroc"], strict=True)
    reasons = {(f.name, dataset): TeacherDetection(auroc) for f, dataset, auroc in places}
    for (name, dataset), detection in reasons.items():
        if detection.is_unknown:
            yield f"{name} on {dataset}: {detection.reason}."
        else:
            where = f"{sign}: {name} on {dataset}, where {detection.reason}"
            yield f"{where}, so none is best, ranked or tested."


def _unique(labels: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(map(str, labels)))


def _comparisons(entries: pd.DataFrame) -> str:
    count = _range(entries["comparisons"])
    return f"{count} comparison{'' if count == '1' else 's'}"


def _range(numbers: pd.Series) -> str:
    low, high = int(numbers.min()), int(numbers.max())
    return str(low) if low == high else f"{low} to {high}"


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last} are" if others else f"{last} is"
