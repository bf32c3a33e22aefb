"""A metric against the severity of shifts, with its differences to the teacher's or beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from distillation_bench.bench.analysis.chance_level import TEACHER
from distillation_bench.bench.analysis.metric_info import MetricInfo
from distillation_bench.bench.common.text import natural_key
from distillation_bench.bench.figures.axis_scales import ANY, draw_means, scale_suffix
from distillation_bench.bench.figures.figure_data import FigureData, seed_counts
from distillation_bench.bench.figures.panels import Drawing, Panels
from distillation_bench.bench.figures.registry import NoData, figure
from distillation_bench.bench.figures.shown_metrics import ShownMetric, describe_best, seed_means
from distillation_bench.bench.figures.style import GREY, even_columns, mix, page_widths
from distillation_bench.bench.figures.text_fit import wrap

PLACE = ["shift", "severity"]
BY = [*PLACE, "label"]
PANEL_WIDTH = 1.3
SPREAD = 0.3
"""Width, in severities, over which labels stand side by side."""
TEACHER_LINE = {"marker": "", "linestyle": "-", "linewidth": 1.8}


@figure("shift", "a metric against the severity of shifts (--on)", "shifted test sets")
def draw_shift(data: FigureData) -> Iterator[Drawing]:
    """Draw a panel for each shift, below it the differences; a figure for each metric."""
    for name in data.options.metrics or ("nll",):
        metric = data.results.metric(name.partition("@")[0])
        values = shifted_values(data, metric)
        shown = data.shown(metric, values[values["label"].isin(data.labels)], BY)
        differences = seed_means(_teacher_differences(data.shown(metric, values).values), BY)
        below = [] if data.ax or differences.empty else [differences]
        said = "differences of the same seeds, 0 is the teacher" if below else ""
        yield _draw(data, shown, [shown.means, *below], 1.25, said)


@figure(
    "calibration",
    "ECE, or --metric, against the severity of shifts, the teacher's as a line of reference",
    "classes and shifted test sets",
)
def draw_calibration(data: FigureData) -> Iterator[Drawing]:
    """Draw a panel for each shift; a figure for each metric."""
    for name in dict.fromkeys(metric.name for metric in data.metrics(["ece"])):
        metric = data.results.metric(name)
        shown = data.shown(metric, shifted_values(data, metric), BY)
        yield _draw(data, shown, [shown.means], 1.8, teacher_line=True)


def shifted_values(data: FigureData, metric: MetricInfo) -> pd.DataFrame:
    """Return values of done cells of the dataset, with columns `shift` and `severity`.

    Severity 0 is the test set; it has a row for each shift. The teacher is there in any selection,
    and nan and inf as they are. For the caller's axes, several shifts are one: their mean.

    Raises:
        NoData: there are none on shifted test sets.
    """
    table = data.results.metrics
    rows = table["metric"].eq(metric.name) & table["shift"].ne("")
    keys = ["dataset", "label", "seed"]
    planned = data.results.planned
    chosen = planned[planned["id"].isin(data.planned["id"]) | planned["method"].eq(TEACHER)]
    chosen = chosen[chosen["dataset"].eq(data.dataset)]
    shifted = chosen.merge(table.loc[rows, [*keys, *PLACE, "value"]], on=keys)
    # `rotation/3` stands for the shift, of which all severities are shown.
    chosen_shifts = {s.removeprefix("test/").partition("/")[0] for s in data.options.sets}
    if chosen_shifts & set(shifted["shift"]):
        shifted = shifted[shifted["shift"].isin(chosen_shifts)]
    shifts = sorted(map(str, shifted["shift"].unique()), key=natural_key)
    if not np.isfinite(shifted["value"][shifted["label"].isin(data.labels)]).any():
        raise NoData(f"no {metric.name} on shifted test sets")
    test = data.results.values(metric, optional=True)
    test = test[test["id"].isin(chosen["id"])].assign(severity=0)
    parts = [shifted.assign(shift=shifted["shift"].astype(str))]
    values = pd.concat([*(test.assign(shift=shift) for shift in shifts), *parts])
    if data.ax and len(shifts) > 1:
        values, shifts = _mean_over_shifts(values, shifts)
    order = pd.Categorical(values["shift"], shifts)
    return values.assign(shift=order, severity=values["severity"].astype(int))


def _mean_over_shifts(
    values: pd.DataFrame, shifts: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Return each cell's means at the severities that it has of all shifts, for a single panel."""
    groups = values.groupby(["id", "severity"])["value"]
    means = groups.mean(skipna=False)[groups.size().eq(len(shifts))]
    cells = values.drop(columns=[*PLACE, "value"]).drop_duplicates("id")
    name = f"mean of {len(shifts)} shifts"
    return cells.merge(means.reset_index(), on="id").assign(shift=name), [name]


def _teacher_differences(values: pd.DataFrame) -> pd.DataFrame:
    """Return values less the teacher's of the same seed, for all that are not the teacher's."""
    on = ["teacher", "seed", *PLACE]
    is_teacher = values["method"].eq(TEACHER)
    own = values.loc[is_teacher, [*on, "value"]]
    pairs = values[~is_teacher].merge(own, on=on, suffixes=("", "_of_teacher"))
    return pairs.assign(value=pairs["value"] - pairs["value_of_teacher"])


def _draw(
    data: FigureData,
    shown: ShownMetric,
    tables: Sequence[pd.DataFrame],
    height: float,
    said: str = "",
    teacher_line: bool = False,
) -> Drawing:
    """Draw rows of panels, and below each row that of the differences, if there are any.

    Args:
        data, shown: what is drawn.
        tables: means by shift, severity and label, and those of differences.
        height: of a row in inches.
        said: what the note says of the differences.
        teacher_line: whether the teacher is a thick line without markers.
    """
    shifts = [*shown.means.index.unique("shift")]
    columns = even_columns(len(shifts), min(5, page_widths(data.options.width)[1] / PANEL_WIDTH))
    starts = range(0, len(shifts), columns)
    rows = [(table, shifts[start : start + columns]) for start in starts for table in tables]
    settings: dict[str, Any] = {"width": PANEL_WIDTH, "columns": columns, "sharey": "row"}
    panels = Panels(data, len(rows) * columns, height=height, **settings)
    for index, (table, row) in enumerate(rows):
        line = panels.axes[index * columns : (index + 1) * columns]
        is_difference = table is not tables[0]
        possible = ANY if is_difference else shown.possible
        panels.scale(line[0], "y", table, possible, linear=is_difference)
        name = f"{shown.format.title} − teacher's" if is_difference else shown.format.header
        line[0].set_ylabel(wrap(f"{name}{scale_suffix(line[0], 'y')}", 0.9), color=shown.color)
        for axes, shift in zip(line, row, strict=False):
            if is_difference:
                axes.axhline(0, color=GREY, linewidth=0.6)
            else:
                panels.title(axes, shift, 1)
            _draw_lines(axes, data, table.loc[shift], teacher_line)
            if table is tables[-1]:
                axes.set_xlabel("severity")
        for axes in line[len(row) :]:
            axes.remove()
    counts = seed_counts([shown.means], data.results.labels(data.dataset))
    legend = data.legend(counts)
    for handle, label in legend:
        handle.set(
            **TEACHER_LINE if teacher_line and data.results.methods[label] == TEACHER else {}
        )
    return panels.finish(
        f"{shown.format.name} under shift on {data.dataset}",
        _alt_text(data, shown, [*counts]),
        data.note(counts, "severity 0 is the test set", said, panels.cut, shown=[shown]),
        legend,
        shown.metric.name if data.options.metrics else "",
    )


def _draw_lines(axes: Axes, data: FigureData, means: pd.DataFrame, teacher_line: bool) -> None:
    """Draw a line for each label over severities; `means` is indexed by severity and label."""
    labels = [*means.index.unique("label")]
    for position, label in enumerate(labels):
        style, of_label = data.styles[label], means.xs(label, level="label")
        line: dict[str, Any] = {"color": style.color, "linestyle": style.dashes, "linewidth": 0.8}
        marker: dict[str, Any] = {"marker": style.marker, "markersize": 2.5, "linestyle": "none"}
        marker["markerfacecolor"] = style.color
        aside = SPREAD * (position / max(1, len(labels) - 1) - 0.5)
        if teacher_line and data.results.methods[label] == TEACHER:
            line, marker, aside = line | TEACHER_LINE, {}, 0
        # Labels stand side by side, or their intervals would hide each other.
        x = of_label.index.to_numpy() + aside
        axes.plot(x, of_label["mean"], **line)
        draw_means(axes, "y", x, of_label, mix(style.color, 0.4), 0.6, **marker)
    axes.set_xticks(sorted(set(means.index.get_level_values("severity"))))


def _alt_text(data: FigureData, shown: ShownMetric, labels: Sequence[str]) -> str:
    alt = f"{shown.format.header} of {', '.join(labels)} on {data.dataset} against the severity of "
    alt += "shifts."
    for shift in shown.means.index.unique("shift"):
        of_shift = shown.means.loc[shift]
        last = of_shift.index.get_level_values("severity").max()
        table = of_shift.loc[last]["mean"].sort_values()
        ends = [f"{shown.text(table[k])} ({k})" for k in (table.index[0], table.index[-1])]
        alt += f" {shift} {last}: from {' to '.join(ends)}."
    if not shown.format.better:
        return alt
    by_label = shown.means["mean"].groupby(level="label", observed=True)
    worst = by_label.idxmax() if shown.format.better == "lower" else by_label.idxmin()
    at_worst = shown.means.loc[worst].droplevel(PLACE)
    return alt + describe_best([replace(shown, means=at_worst)], " in the worst case")
