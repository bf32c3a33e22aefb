"""A metric against the severity of shifts, and its difference to the teacher's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from distillation_bench.bench.analysis.chance_level import TEACHER
from distillation_bench.bench.analysis.metric_info import MetricFormat, MetricInfo, metric_format
from distillation_bench.bench.common.text import counted, natural_key
from distillation_bench.bench.figures import axis_scales as scales
from distillation_bench.bench.figures import figure_data as words
from distillation_bench.bench.figures.figure_data import FigureData, seed_means
from distillation_bench.bench.figures.panels import Drawing, Panels
from distillation_bench.bench.figures.registry import NoData, figure
from distillation_bench.bench.figures.style import GREY, even_columns, page_widths
from distillation_bench.bench.figures.text_fit import wrap

PLACE = ["shift", "severity"]
PANEL_WIDTH = 1.3


@figure("shift", "a metric against the severity of shifts (--on)", "shifted test sets")
def draw_shift(data: FigureData) -> Iterator[Drawing]:
    """Draw a panel for each shift, below it the differences; a figure for each metric."""
    for name in data.options.metrics or ("nll",):
        metric = data.results.metric(name.partition("@")[0])
        yield _draw(data, metric, metric.name if data.options.metrics else "")


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
    if shifted.empty:
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


def teacher_differences(values: pd.DataFrame) -> pd.DataFrame:
    """Return values less the teacher's of the same seed, for all that are not the teacher's."""
    own = values[values["method"].eq(TEACHER)]
    on = ["teacher", "seed", *PLACE]
    students, own = values[values["method"].ne(TEACHER)], own[[*on, "value"]]
    pairs = students.merge(own, on=on, suffixes=("", "_of_teacher"))
    return pairs.assign(value=pairs["value"] - pairs["value_of_teacher"])


def _draw(data: FigureData, metric: MetricInfo, part: str) -> Drawing:
    shown, values = metric_format(metric), shifted_values(data, metric)
    is_selected, is_finite = values["label"].isin(data.labels), np.isfinite(values["value"])
    values = values.assign(value=shown.convert(values["value"]))
    selected = values[is_selected & is_finite]
    if selected.empty:
        raise NoData(f"no {metric.name} on shifted test sets")
    by = [*PLACE, "label"]
    means = seed_means(selected, by, data.possible_values(shown))
    with_teacher = values[(is_selected | values["method"].eq(TEACHER)) & is_finite]
    differences = seed_means(teacher_differences(with_teacher), by)
    tables = [means] if data.ax or differences.empty else [means, differences]
    shifts = list(selected["shift"].cat.categories)
    panels = _draw_panels(data, tables, shifts, shown)
    labels = [label for label in data.labels if label in means.index.get_level_values("label")]
    counts = {label: int(means.xs(label, level="label")["n"].max()) for label in labels}
    left_out = int((is_selected & ~is_finite).sum())
    below = data.below_chance([metric])
    text = words.describe_intervals(
        counts,
        "severity 0 is the test set",
        "differences of the same seeds, 0 is the teacher" if len(tables) > 1 else "",
        f"{counted(left_out, 'value')} not finite and left out" if left_out else "",
        words.describe_below_chance(below),
    )
    alt = (
        f"{shown.name} of {', '.join(labels)} on {data.dataset} against the severity of "
        f"{', '.join(shifts)}."
    )
    if shown.better:
        by_label = means["mean"].groupby(level="label", observed=True)
        worst = by_label.idxmax() if shown.better == "lower" else by_label.idxmin()
        at_worst = means.loc[worst].droplevel(PLACE).loc[labels]
        if best := data.best_student(at_worst, shown.better, below.get(metric)):
            value = words.with_unit(shown, at_worst["mean"][best])
            alt += f" In the worst case {best} keeps the best mean ({value})."
    title = f"{shown.name} under shift on {data.dataset}"
    return panels.finish(title, alt, data.note(text, counts), data.legend(labels), part)


def _draw_panels(
    data: FigureData, tables: Sequence[pd.DataFrame], shifts: Sequence[str], shown: MetricFormat
) -> Panels:
    """Draw rows of panels, and below each row that of the differences."""
    columns = even_columns(len(shifts), min(5, page_widths(data.options.width)[1] / PANEL_WIDTH))
    starts = range(0, len(shifts), columns)
    rows = [(table, shifts[start : start + columns]) for start in starts for table in tables]
    settings: dict[str, Any] = {"width": PANEL_WIDTH, "columns": columns, "sharey": "row"}
    panels = Panels(data, len(rows) * columns, height=1.25, **settings)
    for index, (table, row) in enumerate(rows):
        line = panels.axes[index * columns : (index + 1) * columns]
        is_difference = table is not tables[0]
        possible = scales.ANY if is_difference else data.possible_values(shown)
        ends = table[["low", "high"]].to_numpy().ravel()
        scales.set_limits(line[0], "y", table["mean"], ends, possible, linear=is_difference)
        scales.set_ticks(line[0].yaxis)
        name = f"{shown.title} − teacher's" if is_difference else shown.header
        line[0].set_ylabel(wrap(f"{name}{scales.scale_suffix(line[0], 'y')}", 0.9))
        for axes, shift in zip(line, row, strict=False):
            if is_difference:
                axes.axhline(0, color=GREY, linewidth=0.6)
            else:
                panels.title(axes, shift, 1)
            draw_severities(axes, data, table.loc[shift])
            if table is tables[-1]:
                axes.set_xlabel("severity")
        for axes in line[len(row) :]:
            axes.remove()
    return panels


def draw_severities(axes: Axes, data: FigureData, means: pd.DataFrame) -> None:
    """Draw a line for each label over severities; `means` is indexed by severity and label."""
    labels = [k for k in data.labels if k in means.index.get_level_values("label")]
    for position, label in enumerate(labels):
        style, of_label = data.styles[label], means.xs(label, level="label")
        # Labels stand side by side, or their intervals would hide each other.
        x = of_label.index.to_numpy() + (position / max(1, len(labels) - 1) - 0.5) * 0.3
        axes.plot(x, of_label["mean"], color=style.color, linestyle=style.dashes, linewidth=0.8)
        marker: dict[str, Any] = {"marker": style.marker, "markersize": 2.5, "linestyle": "none"}
        scales.draw_means(axes, "y", x, of_label, style.color, 0.6, **marker)
    axes.set_xticks(sorted(set(means.index.get_level_values("severity"))))
