"""Calibration under shift: its error against severity, beside the teacher's."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from matplotlib.axes import Axes

from distillation_bench.bench.analysis.chance_level import TEACHER
from distillation_bench.bench.analysis.metric_info import MetricFormat, MetricInfo, metric_format
from distillation_bench.bench.figures.axis_scales import CUT, draw_means, set_limits, set_ticks
from distillation_bench.bench.figures.families.shift_lines import shifted_values
from distillation_bench.bench.figures.figure_data import (
    FigureData,
    describe_intervals,
    seed_means,
    with_unit,
)
from distillation_bench.bench.figures.panels import Drawing, Panels
from distillation_bench.bench.figures.registry import figure
from distillation_bench.bench.figures.style import mix

SPREAD = 0.3
"""Width, in severities, over which the intervals of all labels stand side by side."""
TEACHER_LINE = {"marker": "", "linewidth": 1.8, "zorder": 2}


@figure(
    "calibration",
    "ECE, or --metric, against the severity of shifts, the teacher's as a line of reference",
    "classes and shifted test sets",
)
def draw_calibration(data: FigureData) -> Iterator[Drawing]:
    """Draw a figure for each metric, a panel for each shift; severity 0 is the test set."""
    for name in dict.fromkeys(metric.name for metric in data.metrics(["ece"])):
        yield _draw(data, data.results.metric(name))


def _draw(data: FigureData, metric: MetricInfo) -> Drawing:
    values = shifted_values(data, metric)
    shown = metric_format(metric, values["value"])
    values["value"] = shown.convert(values["value"])
    possible = data.possible_values(shown)
    means = seed_means(values, ["shift", "severity", "label"], possible)
    shifts = [*values["shift"].cat.categories]
    panels = Panels(data, len(shifts), width=1.35, height=1.8, sharey=True)
    is_cut = set_limits(
        panels.axes[0], "y", means["mean"], means[["low", "high"]].to_numpy().ravel(), possible
    )
    set_ticks(panels.axes[0].yaxis)
    for axes, shift in zip(panels, shifts, strict=True):
        _draw_panel(axes, data, means.loc[shift])
        panels.title(axes, shift, 1)
    panels.label("severity", shown.header)
    counts = values.groupby("label", observed=True)["seed"].nunique().to_dict()
    text = describe_intervals(counts, "severity 0 is the test set", CUT if is_cut else "")
    legend = data.legend(counts)
    for handle, label in legend:
        handle.set(**TEACHER_LINE if data.results.methods[label] == TEACHER else {})
    return panels.finish(
        f"{shown.name} under shift on {data.dataset}",
        _alt_text(data, shown, means, shifts),
        data.note(text, counts),
        legend,
        metric.name if data.options.metrics else "",
    )


def _draw_panel(axes: Axes, data: FigureData, means: pd.DataFrame) -> None:
    """Draw labels side by side; the teacher is a line without markers in the middle."""
    labels = [*means.index.unique("label")]
    for index, label in enumerate(labels):
        style, of_label = data.styles[label], means.xs(label, level="label")
        is_teacher = data.results.methods[label] == TEACHER
        offset = 0 if is_teacher else SPREAD * (index / max(1, len(labels) - 1) - 0.5)
        at = of_label.index.to_numpy(float) + offset
        draw_means(axes, "y", at, of_label, mix(style.color, 0.4), 0.6)
        axes.plot(at, of_label["mean"], **style.line | (TEACHER_LINE if is_teacher else {}))
    axes.set_xticks(sorted({*means.index.get_level_values("severity")}))


def _alt_text(data: FigureData, shown: MetricFormat, means: pd.DataFrame, shifts: list[str]) -> str:
    alt = f"{shown.header} on {data.dataset} against the severity of shifts."
    for shift in shifts:
        of_shift = means.loc[shift]
        last = of_shift.index.get_level_values("severity").max()
        table = of_shift.loc[last]["mean"].sort_values()
        ends = [f"{with_unit(shown, table[k])} ({k})" for k in (table.index[0], table.index[-1])]
        alt += f" {shift} {last}: from {' to '.join(ends)}."
    return alt
