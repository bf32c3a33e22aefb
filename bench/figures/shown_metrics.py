"""A metric as figures show it: values and means in the printed unit, and which student is best."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from distillation_bench.bench.analysis.metric_info import MetricFormat, MetricInfo
from distillation_bench.bench.analysis.ranking import rank_students
from distillation_bench.bench.figures.axis_scales import ANY, Limits
from distillation_bench.bench.figures.style import GREY, INK

_BOUNDS: dict[str, Limits] = {
    "brier": (0.0, 2.0),
    "aurc": (0.0, 1.0),
    "teacher_spearman": (-1.0, 1.0),
    **dict.fromkeys((f"teacher_tv_{u}" for u in ("total", "aleatoric", "epistemic")), (0.0, 1.0)),
    **dict.fromkeys(("teacher_kl", "rmse", "mae", "crps", "flops", "parameters"), (0.0, math.inf)),
    **dict.fromkeys(("latency", "temperature"), (0.0, math.inf)),
}
"""The values that metrics can have, where they are drawn as recorded."""


@dataclass(frozen=True, eq=False)
class ShownMetric:
    """A metric as a figure shows it.

    Attributes:
        format: how it is printed.
        values: a row for each cell with a finite value, with `value` in the printed unit.
        means: see `seed_means`.
        possible: the least and the largest value that it can have.
        not_finite: a row for each cell whose value is nan or inf, with the `reason`.
        why_grey: why no student is best, since the teacher detects worse than chance; else empty.
        references: labels that are not students.
    """

    format: MetricFormat
    values: pd.DataFrame
    means: pd.DataFrame
    possible: Limits
    not_finite: pd.DataFrame
    why_grey: str
    references: Container[str]

    @property
    def metric(self) -> MetricInfo:
        """The metric."""
        return self.format.metric

    @property
    def color(self) -> str:
        """The colour of its name."""
        return GREY if self.why_grey else INK

    @property
    def best(self) -> str:
        """The student with the best mean, of those with the most seeds; see `best_student`."""
        return (
            "" if self.why_grey else best_student(self.means, self.format.better, self.references)
        )

    def text(self, value: float) -> str:
        """Return the text of a value with its unit: `2.000 nats`."""
        return f"{self.format.text(value)} {self.format.unit}".rstrip()

    def of_labels(self, labels: Container[str]) -> ShownMetric:
        """Return the same with the means of some labels alone."""
        return replace(self, means=self.means[[label in labels for label in self.means.index]])


def best_student(means: pd.DataFrame, better: str, references: Container[str]) -> str:
    """Return the student with the best `mean`; empty without a direction or a second student."""
    ranked = rank_students(means, better, references)
    return ranked[0] if len(ranked) > 1 else ""


def describe_best(shown: Iterable[ShownMetric], where: str = "") -> str:
    """Return which students are best, to follow another sentence of an alternative text."""
    best = [
        f"{s.format.name}: {s.best} ({s.text(s.means['mean'][s.best])})" for s in shown if s.best
    ]
    return f" Best student means{where}: {'; '.join(best)}." if best else ""


def describe_grey(shown: Iterable[ShownMetric]) -> str:
    """Return why metrics are grey, since the teacher is worse than chance; empty if none are."""
    names: dict[str, list[str]] = {}
    for each in shown:
        names.setdefault(each.why_grey, []).append(each.format.name)
    reasons = [f"{', '.join(of)}, where {why}" for why, of in names.items() if why]
    return f"grey, and none is best: {'; '.join(reasons)}" if reasons else ""


def possible_values(shown: MetricFormat, is_of_classes: bool) -> Limits:
    """Return the least and the largest value that a metric can have in the printed unit."""
    if shown.metric.name.startswith("nll") and is_of_classes:
        return 0.0, math.inf
    return (0.0, 100.0) if shown.unit == "%" else _BOUNDS.get(shown.metric.name, ANY)


def seed_means(
    values: pd.DataFrame, by: str | Sequence[str] = "label", possible: Limits = ANY
) -> pd.DataFrame:
    """Return means over seeds with 95 % t intervals: `mean`, `low`, `high`, `n`.

    Args:
        values: finite values, see `ShownMetric`.
        by: the columns to group by; the result is indexed by them, in order.
        possible: the values that the metric can have; intervals end there.
    """
    groups = values.groupby(by if isinstance(by, str) else [*by], observed=True)["value"]
    table = groups.agg(["mean", "std", "size"]).rename(columns={"size": "n"})
    half = stdtrit(table["n"] - 1, 0.975) * table["std"] / np.sqrt(table["n"])
    table = table.assign(low=table["mean"] - half, high=table["mean"] + half)
    table[["low", "high"]] = table[["low", "high"]].clip(*possible)
    return table[["mean", "low", "high", "n"]]
