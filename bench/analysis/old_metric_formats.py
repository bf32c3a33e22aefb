"""How values of a metric are printed: header, unit and digits, as papers print them or raw."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from distillation_bench.bench.analysis.old_results import MetricInfo
from distillation_bench.bench.metrics.display import metric_display

SIZES = (("", 1.0), ("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12))
RAW_DIGITS = 3
"""Decimals of values as recorded."""


@dataclass(frozen=True)
class MetricFormat:
    """How a metric is printed.

    Attributes:
        metric: the metric.
        name: name in a header, without the unit.
        unit: "%", "nats" or a size such as "M"; empty for a plain number.
        digits: number of decimals.
        better: direction of what is printed: "higher", "lower" or empty.
        factor, offset: offset + factor · value is printed.
        note: what the value depends on, for a caption; may be empty.
        exact: whether all seeds have the same value, so that the deviation of 0 is not printed.
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

    def convert(self, value: float) -> float:
        """Return a recorded value in the printed unit."""
        return self.offset + self.factor * value

    def text(self, value: float) -> str:
        """Return the text of a value in the printed unit; nan and inf as they are."""
        return f"{value:.{self.digits}f}" if math.isfinite(value) else str(value)

    @property
    def header(self) -> str:
        """Name, unit and an arrow for the better direction."""
        unit = f" [{self.unit}]" if self.unit else ""
        arrow = {"higher": " ↑", "lower": " ↓", "": ""}[self.better]
        return f"{self.name}{unit}{arrow}"


def metric_format(
    metric: MetricInfo, values: Iterable[float], digits: int | None = None, raw: bool = False
) -> MetricFormat:
    """Return how to print a metric.

    Args:
        metric: the metric.
        values: all recorded values that will be printed, which decide the size of FLOPs and
            parameters.
        digits: number of decimals; by default those of the metric's unit.
        raw: print values as recorded: fractions, accuracy instead of error, nothing scaled.
    """
    name, unit, usual_digits, note = metric_display(metric.name)
    if metric.name == "ood_auroc" and metric.headline:
        note = "OOD AUROC: mean over a dataset's OOD sets, by total uncertainty"
    format = MetricFormat(metric, name, unit, usual_digits, metric.better, note=note)
    format = _as_recorded(format) if raw else _as_papers_print(format, values)
    if unit == "size":
        # What a student costs is chosen, not measured: nothing is better, and there is no spread.
        format = replace(format, better="", exact=True)
    set_name = _unusual_set(metric)
    format = replace(format, name=f"{format.name} ({set_name})" if set_name else format.name)
    return format if digits is None else replace(format, digits=digits)


def _as_recorded(format: MetricFormat) -> MetricFormat:
    name = "Accuracy" if format.metric.name == "accuracy" else format.name
    unit = "" if format.unit in ("%", "size") else format.unit
    return replace(format, name=name, unit=unit, digits=RAW_DIGITS)


def _as_papers_print(format: MetricFormat, values: Iterable[float]) -> MetricFormat:
    if format.metric.name == "accuracy":
        return replace(format, better="lower", factor=-100.0, offset=100.0)
    if format.unit == "%":
        return replace(format, factor=100.0)
    if format.unit == "size":
        size, factor = _size(values)
        digits = format.digits if size else 0
        return replace(format, unit=size, digits=digits, factor=1 / factor)
    return format


def _size(values: Iterable[float]) -> tuple[str, float]:
    """Return the largest size that some value reaches, and its factor."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    return next((size for size in reversed(SIZES) if largest >= size[1]), SIZES[0])


def _unusual_set(metric: MetricInfo) -> str:
    """Return the score and the evaluation set of a metric, where it is not the usual one."""
    if metric.headline:
        return ""
    set_name = f"{metric.shift} {metric.severity}" if metric.shift else metric.set
    is_usual = set_name in ("test", "cost")
    return ", ".join(filter(None, (metric.score, "" if is_usual else set_name)))
