"""Two metrics against each other, and quality against cost, with the students no other beats."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from distillation_bench.bench.analysis.metric_info import metric_format
from distillation_bench.bench.analysis.ranking import rank_students
from distillation_bench.bench.figures.axis_scales import (
    CUT,
    Limits,
    draw_means,
    scale_suffix,
    set_ticks,
    short_number,
)
from distillation_bench.bench.figures.figure_data import FigureData, seed_counts
from distillation_bench.bench.figures.panels import Drawing, LegendEntries, Panels
from distillation_bench.bench.figures.registry import NoData, figure
from distillation_bench.bench.figures.shown_metrics import ShownMetric
from distillation_bench.bench.figures.style import DIM, FAINT, GREY
from distillation_bench.bench.figures.text_fit import wrap

ROOM = 0.07
"""Inches between the centres of markers that do not hide each other."""
LATENCY = "timing.latency_seconds_batch_1"
COSTS = {"flops": "FLOPs per example", "parameters": "parameters"}
BETTER = {
    ("lower", "lower"): "↙ better",
    ("lower", "higher"): "↖ better",
    ("higher", "lower"): "better ↘",
    ("higher", "higher"): "better ↗",
}
FRONT = "grey steps: the border of what students reach, of those with all seeds"
MOVED = "a line leads from a marker that is moved sideways to its place"
HOLLOW = "hollow: bounds, not students"
QUARTILES = "latency: median and quartiles of many passes"


class Quantity(NamedTuple):
    """What an axis shows: by label `mean`, `low`, `high`, and `n`, which is nan if not of seeds."""

    title: str
    better: str
    means: pd.DataFrame
    possible: Limits
    is_cost: bool = False

    def set_up(self, panels: Panels, axes: Axes, axis: Any) -> None:
        """Set the limits and ticks of an axis; costs have room at both ends."""
        if not self.is_cost:
            panels.scale(axes, axis, self.means, self.possible)
            return
        low, high = float(self.means["mean"].min()), float(self.means["mean"].max())
        pad = max(0.15 * (high - low), 0.1 * high)
        is_log = 0 < 3 * low < high
        limits = (low / 1.5, high * 1.5) if is_log else (low - pad, high + pad)
        axes.set(**{f"{axis}scale": "log" if is_log else "linear", f"{axis}lim": limits})
        if (self.means["low"] < limits[0]).any() or (self.means["high"] > limits[1]).any():
            panels.cut = CUT
        set_ticks(getattr(axes, f"{axis}axis"), text=short_number)


@figure("cost", "NLL, or --metric, against FLOPs, parameters and latency", "values of cost")
def draw_cost(data: FigureData) -> Iterator[Drawing]:
    """Draw a figure for each metric, a panel for each cost."""
    found = [metric for name in COSTS if (metric := data.find_metric(name))]
    costs = [*(_quantity(data.shown(metric)) for metric in found), _latency(data)]
    costs = [cost for cost in costs if len(cost.means)]
    if not costs:
        raise NoData("no cell has a cost")
    for metric in data.metrics(["nll"]):
        title = f"{metric_format(metric).name} against cost on {data.dataset}"
        part = str(metric) if data.options.metrics else ""
        yield _draw(data, title, costs, [data.shown(metric)], part)


@figure(
    "pareto",
    "two metrics (--metric twice), by default NLL and OOD AUROC or FLOPs: who is best in both",
    "two metrics",
)
def draw_pareto(data: FigureData) -> Drawing:
    """Draw a panel with means, intervals in both directions and the front of the students."""
    metrics = dict.fromkeys(data.metrics(["ood_auroc", "flops", "nll"]))
    shown = [data.shown(metric) for metric in metrics]
    if not data.options.metrics:
        shown = [each for each in shown if not each.why_grey]
        shown = [shown[0], *shown[1:][-1:]]
    if len(shown) != 2:
        raise NoData("it needs two metrics: give --metric twice")
    part = "-".join(str(each.metric) for each in shown) if data.options.metrics else ""
    names = " and ".join(metric_format(each.metric).name for each in shown)
    return _draw(data, f"{names} on {data.dataset}", [_quantity(shown[0])], shown, part)


def _quantity(shown: ShownMetric) -> Quantity:
    if not shown.format.exact:
        return Quantity(shown.format.title, shown.format.better, shown.means, shown.possible)
    # Ticks say whether a size is in thousands or millions.
    values = shown.means[["mean", "low", "high"]] / shown.format.factor
    title = COSTS.get(shown.metric.name, metric_format(shown.metric, raw=True).title)
    means = values.assign(n=shown.means["n"])
    return Quantity(title, shown.metric.better, means, (0, math.inf), is_cost=True)


def _latency(data: FigureData) -> Quantity:
    """Return the latencies with their quartiles.

    A variant's latency is measured in one of its cells, which need not be of a selected seed.
    """
    columns = {"mean": LATENCY, "low": f"{LATENCY}_low", "high": f"{LATENCY}_high"}
    cells = data.results.cells.reindex(columns=["dataset", "label", *columns.values()])
    rows = cells["dataset"].eq(data.dataset) & cells["label"].isin(data.labels)
    measured = cells[rows & cells[LATENCY].gt(0)].groupby("label", observed=True)
    means = pd.DataFrame({name: measured[column].mean() * 1e3 for name, column in columns.items()})
    title = "latency of one example [ms]"
    return Quantity(title, "lower", means.assign(n=np.nan), (0, math.inf), is_cost=True)


def _draw(
    data: FigureData,
    title: str,
    quantities: Sequence[Quantity],
    shown: Sequence[ShownMetric],
    part: str,
) -> Drawing:
    """Draw a panel for each quantity, against the last one of the metrics."""
    quality, is_grey = _quantity(shown[-1]), any(each.why_grey for each in shown)
    tables = [_join(x, quality) for x in quantities]
    if not any(map(len, tables)):
        raise NoData("no method has both")
    width, height = (1.6, 1.8) if len(quantities) > 1 else (2.6, 2.4)
    panels = Panels(data, len(quantities), width=width, height=height, sharey=True)
    pairs = [*zip(quantities, tables, strict=True)]
    fronts = [[] if is_grey else _front(table, x, quality, data) for x, table in pairs]
    for axes, (x, table), front in zip(panels, pairs, fronts, strict=True):
        x.set_up(panels, axes, "x")
        quality.set_up(panels, axes, "y")
        _draw_front(axes, table.loc[front], x, quality)
        _draw_labels(panels, axes, table, is_grey)
        arrow = BETTER.get((x.better, quality.better), "")
        panels.title(axes, arrow, loc="right" if x.better == "higher" else "left", color=GREY)
        axes.set_xlabel(wrap(f"{x.title}{scale_suffix(axes, 'x')}", panels.panel_width))
    panels.label(y=f"{quality.title}{scale_suffix(panels.axes[0], 'y')}")
    drawn = pd.concat(tables)
    counts = seed_counts(tables, data.labels)
    said = {
        FRONT: any(fronts),
        HOLLOW: {*counts} & data.results.references,
        MOVED: drawn["at"].ne(drawn["mean_x"]).any(),
        QUARTILES: (drawn["n_x"].isna() & drawn["low_x"].notna()).any(),
    }
    alt = f"{quality.title} on {data.dataset} against {', '.join(x.title for x in quantities)}."
    if fronts[0]:
        alt += f" By {quantities[0].title}, none is better in both than {', '.join(fronts[0])}."
    parts = [text for text, is_said in said.items() if is_said]
    note = data.note(counts, *parts, panels.cut, shown=shown)
    return panels.finish(title, alt, note, _legend(data, [*counts], is_grey), part)


def _join(x: Quantity, y: Quantity) -> pd.DataFrame:
    """Return the means of labels that have both, and their least n."""
    table = x.means.merge(y.means, left_index=True, right_index=True)
    return table.assign(n=np.fmin(table["n_x"], table["n_y"]))


def _front(table: pd.DataFrame, x: Quantity, y: Quantity, data: FigureData) -> list[str]:
    """Return the students that no other beats in both, of those with most seeds, by their x."""
    sign = {"lower": 1, "higher": -1}.get(x.better, math.nan) * table["mean_x"]
    by_x = table.loc[sign.sort_values(kind="stable").index].rename(columns={"mean_y": "mean"})
    front: list[str] = []
    for label in rank_students(by_x, y.better, data.results.references):
        if not front or sign[label] < sign[front[-1]]:
            front.append(label)
    return front[::-1] if x.better else []


def _side_by_side(axes: Axes, table: pd.DataFrame, size: tuple[float, float]) -> np.ndarray:
    """Return where along x markers are drawn in a panel so that none hides another [n].

    Args:
        axes: with their limits set.
        table: see `_join`.
        size: of the panel in inches.
    """
    to_panel = axes.transData - axes.transAxes
    points = to_panel.transform(table[["mean_x", "mean_y"]].to_numpy()) * size
    steps = [sign * step * ROOM / 2 for step in range(len(points) * 2) for sign in (1, -1)]
    placed: list[np.ndarray] = []
    moved: np.ndarray = table["mean_x"].to_numpy(float).copy()
    for index in np.argsort(points[:, 0], kind="stable"):
        options = (points[index] + (step, 0) for step in steps)
        free = next(p for p in options if all(math.dist(p, q) > 0.99 * ROOM for q in placed))
        placed.append(free)
        if free[0] != points[index, 0]:
            moved[index] = to_panel.inverted().transform(free / size)[0]
    return moved


def _draw_front(axes: Axes, front: pd.DataFrame, x: Quantity, y: Quantity) -> None:
    """Draw the border of what the front beats, from the one end of the panel to the other."""
    if len(front):
        worst_x = axes.get_xlim()[x.better == "lower"]
        worst_y = axes.get_ylim()[y.better == "lower"]
        points = front.sort_values("mean_x", ascending=x.better == "lower")
        along = [points["mean_x"].iloc[0], *points["mean_x"], worst_x]
        across = [worst_y, *points["mean_y"], points["mean_y"].iloc[-1]]
        axes.plot(along, across, color=FAINT, linewidth=2.5, drawstyle="steps-post", zorder=0)


def _draw_labels(panels: Panels, axes: Axes, table: pd.DataFrame, is_grey: bool) -> None:
    """Draw all labels, and note in the table where along x their markers are: `at`."""
    size = (panels.panel_width - 0.35, panels.panel_height - 0.6)
    table["at"] = _side_by_side(axes, table, size)
    for label in table.index:
        color = DIM if is_grey else panels.data.styles[label].color
        _draw_label(axes, panels.data, label, table.loc[label], color)


def _draw_label(axes: Axes, data: FigureData, label: str, row: pd.Series, color: str) -> None:
    """Draw a marker with its intervals, along the axis that it is beyond if it is beyond one."""
    low, high = sorted(axes.get_ylim())
    marker = {"marker": data.styles[label].marker, "markersize": 4.6, "markeredgewidth": 0.4}
    is_hollow = label in data.results.references
    marker |= {"markerfacecolor": "w"} if is_hollow else {"markeredgecolor": "w"}
    is_along_x = low <= row["mean_y"] <= high
    at_y = float(np.clip(row["mean_y"], low, high))
    axes.plot([row["at"], row["mean_x"]], [at_y] * 2, color=GREY, linewidth=0.5)
    x, y = (
        pd.DataFrame([row[[f"{k}_{axis}" for k in ("mean", "low", "high")]].to_numpy()]).set_axis(
            ["mean", "low", "high"], axis=1
        )
        for axis in "xy"
    )
    x["mean"] = row["at"] if is_along_x else x["mean"]
    draw_means(axes, "x", [at_y], x, color, 0.6, **marker if is_along_x else {})
    draw_means(axes, "y", [float(row["at"])], y, color, 0.6, **{} if is_along_x else marker)


def _legend(data: FigureData, labels: Sequence[str], is_grey: bool) -> LegendEntries:
    entries = data.legend(labels, line=False)
    for handle, label in entries:
        handle.set(**({"color": DIM} if is_grey else {}))
        if label in data.results.references:
            handle.set(markerfacecolor="w", markeredgewidth=0.8)
    return entries
