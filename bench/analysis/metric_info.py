"""A metric on an evaluation set: how it is selected on the command line, and how it is printed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from distillation_bench.bench.common.errors import UsageError, did_you_mean
from distillation_bench.bench.metrics.display import metric_display

SIZES = (("", 1.0), ("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12))
RAW_DIGITS = 3
"""Decimals of values as recorded."""
COST = {"better": "lower", "headline": True}
"""What the description of a run would say of a cost that is a column of results.csv."""
ARROWS = {"higher": " ↑", "lower": " ↓", "": ""}


@dataclass(frozen=True)
class MetricInfo:
    """A metric on an evaluation set, as `NAME[:SCORE][@SET]` on the command line.

    Attributes:
        name, score: as in metrics.csv; only OOD metrics have a score.
        set, shift, severity: the evaluation set, e.g. "test", "rotation", 3.
        better: "higher", "lower" or empty.
        headline: whether it is a column of results.csv.
    """

    name: str
    score: str
    set: str
    shift: str
    severity: int
    better: str
    headline: bool

    def __str__(self) -> str:
        if self.headline:
            return self.name
        score = f":{self.score}" if self.score else ""
        where = f"{self.shift}/{self.severity}" if self.shift else self.set
        return f"{self.name}{score}@{where}"

    @property
    def place(self) -> str:
        """The score and the evaluation set, where they are not the usual ones: `rotation 3`."""
        if self.headline:
            return ""
        set_name = f"{self.shift} {self.severity}" if self.shift else self.set
        return ", ".join(
            filter(None, (self.score, "" if set_name in ("test", "cost") else set_name))
        )


@dataclass(frozen=True)
class MetricFormat:
    """How a metric is printed.

    Attributes:
        metric: the metric.
        name: name in a header, without the unit: `ECE (rotation 3)`.
        unit: "%", "nats" or a size such as "M"; empty for a plain number.
        digits: number of decimals.
        better: direction of what is printed: "higher", "lower" or empty.
        factor, offset: offset + factor · value is printed.
        note: what the value depends on, for a caption; may be empty.
        exact: whether all seeds have the same value, so that a deviation of 0 is not printed.
    """

    metric: MetricInfo
    name: str
    unit: str
    digits: int
    better: str
    factor: float = 1.0
    offset: float = 0.0
    note: str = ""
    exact: bool = False

    def convert(self, values: Any) -> Any:
        """Return recorded values (a number, an array or a Series) in the printed unit."""
        return self.offset + self.factor * values

    def text(self, value: float) -> str:
        """Return the text of a value in the printed unit; nan and inf as they are."""
        return f"{value:.{self.digits}f}" if math.isfinite(value) else str(value)

    @property
    def printed(self) -> str:
        """The selector, with `error` instead of `accuracy` if the error is printed."""
        is_error = self.metric.name == "accuracy" and self.offset
        return str(replace(self.metric, name="error") if is_error else self.metric)

    @property
    def title(self) -> str:
        """Name and unit: `ECE [%]`."""
        return f"{self.name} [{self.unit}]" if self.unit else self.name

    @property
    def header(self) -> str:
        """Name, unit and an arrow for the better direction: `ECE [%] ↓`."""
        return f"{self.title}{ARROWS[self.better]}"


def metric_format(
    metric: MetricInfo,
    values: Iterable[float] = (),
    digits: int | None = None,
    raw: bool = False,
) -> MetricFormat:
    """Return how to print a metric.

    Args:
        metric: the metric.
        values: all recorded values that will be printed, which decide the size (k, M, …) of FLOPs
            and parameters, and whether small values get one more decimal.
        digits: number of decimals; by default those of the metric.
        raw: print values as recorded: fractions, accuracy instead of error, nothing scaled.
    """
    display = metric_display(metric.name)
    shown = MetricFormat(metric, *display[:3], metric.better, note=display.note)
    values, changes = list(values), dict[str, Any](digits=display.digits_for(values))
    if display.unit == "size":
        largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
        fitting = [size for size in SIZES if largest >= size[1] and not raw]
        unit, factor = (*SIZES[:1], *fitting)[-1]
        # What a student costs is chosen, not measured: nothing is better, and there is no spread.
        changes = {"unit": unit, "factor": 1 / factor, "better": "", "exact": True}
        changes["digits"] = display.digits if unit else 0
    elif metric.name == "accuracy":
        recorded, error = {"name": "Accuracy"}, {"better": "lower", "factor": -100, "offset": 100}
        changes = recorded if raw else error
    elif display.unit == "%" and not raw:
        changes = {"factor": 100.0}
    if raw:
        is_scaled = display.unit in ("%", "size")
        changes |= {"digits": RAW_DIGITS, "unit": "" if is_scaled else display.unit}
    if metric.name == "ood_auroc" and metric.headline:
        changes["note"] = "OOD AUROC: mean over a dataset's OOD sets, by total uncertainty"
    if metric.place:
        changes["name"] = f"{changes.get('name', display.name)} ({metric.place})"
    if digits is not None:
        changes["digits"] = digits
    return replace(shown, **changes)


def metric_name(selector: str) -> str:
    """Return the NAME of `NAME[:SCORE][@SET]`."""
    return selector.partition("@")[0].partition(":")[0]


def parse_metric(selector: str, known: Mapping[str, Mapping[str, Any]]) -> MetricInfo:
    """Return the metric that `NAME[:SCORE][@SET]` stands for.

    SET is `test`, `SHIFT/SEVERITY`, `ood`, `ood:NAME` or `cost`.

    Args:
        selector: the text.
        known: by NAME, its `better` and `headline`, and `set` if it has a usual one.

    Raises:
        UsageError: there is no such metric, or a severity is not a whole number.
    """
    names, _, set_name = selector.partition("@")
    name, _, score = names.partition(":")
    if name not in known:
        raise UsageError(_unknown(name, known))
    described = known[name]
    if not set_name and not score and described["headline"]:
        return MetricInfo(name, "", "", "", 0, described["better"], headline=True)
    base, _, severity = set_name.partition("/")
    if severity and not severity.isdecimal():
        raise UsageError(f"{selector}: {severity!r}: a severity is a whole number")
    is_ood = name.startswith("ood_")
    usual = described.get("set") or ("ood" if is_ood else "test")
    place = ("test", base, int(severity)) if severity else (base or usual, "", 0)
    score = score or ("total" if is_ood else "")
    return MetricInfo(name, score, *place, described["better"], headline=False)


def _unknown(name: str, known: Iterable[str]) -> str:
    """Return a message on a name, which may be one that tables print."""
    if name.lower() == "error" and "accuracy" in known:
        return f"--metric {name}: give accuracy, which tables print as error"
    printed = {metric_display(metric).name.lower(): metric for metric in known}
    if found := printed.get(name.lower()):
        hint = f"; give {found}, which tables print as {metric_display(found).name}"
    else:
        hint = did_you_mean(name, known) or "; `list metrics` has all"
    return f"{name}: unknown metric{hint}"
