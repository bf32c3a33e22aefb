"""Two metrics against each other, and quality against cost, with the students no other beats."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from distillation_bench.bench.analysis.metric_info import MetricInfo, metric_format
from distillation_bench.bench.analysis.ranking import rank_students
from distillation_bench.bench.figures.axis_scales import (
    CUT,
    AxisName,
    Limits,
    draw_means,
    plain_number,
    scale_suffix,
    set_limits,
    set_ticks,
    short_number,
)
from distillation_bench.bench.figures.figure_data import (
    FigureData,
    describe_below_chance,
    describe_intervals,
)
from distillation_bench.bench.figures.panels import Drawing, LegendEntries, Panels
from distillation_bench.bench.figures.registry import NoData, figure
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


class _Quantity(NamedTuple):
    """What an axis shows: by label `mean`, `low`, `high`, and `n`, which is nan if not of seeds."""

    title: str
    better: str
    means: pd.DataFrame
    possible: Limits
    is_cost: bool = False

    def set_up(self, axes: Axes, axis: Any) -> bool:
        """Set the limits, ticks and label of an axis; return whether a value is beyond it."""
        low, high = float(self.means["mean"].min()), float(self.means["mean"].max())
        ends = self.means[["low", "high"]].to_numpy().ravel()
        if self.is_cost:
            pad = max(0.15 * (high - low), 0.1 * high)
            is_log = 0 < 3 * low < high
            limits = (low / 1.5, high * 1.5) if is_log else (low - pad, high + pad)
            axes.set(**{f"{axis}scale": "log" if is_log else "linear", f"{axis}lim": limits})
            is_cut = bool((ends < limits[0]).any() or (ends > limits[1]).any())
        else:
            is_cut = set_limits(axes, axis, self.means["mean"], ends, self.possible)
        set_ticks(getattr(axes, f"{axis}axis"), 4, short_number if self.is_cost else plain_number)
        return is_cut


@figure("cost", "NLL, or --metric, against FLOPs, parameters and latency", "values of cost")
def draw_cost(data: FigureData) -> Iterator[Drawing]:
    """Draw a figure for each metric, a panel for each cost."""
    found = [metric for name in COSTS if (metric := data.find_metric(name))]
    costs = [*(_quantity(data, metric) for metric in found), _latency(data)]
    costs = [cost for cost in costs if len(cost.means)]
    if not costs:
        raise NoData("no cell has a cost")
    for metric in data.metrics(["nll"]):
        title = f"{metric_format(metric).name} against cost on {data.dataset}"
        yield _draw(data, title, costs, [metric], str(metric) if data.options.metrics else "")


@figure(
    "pareto",
    "two metrics (--metric twice), by default NLL and OOD AUROC or FLOPs: who is best in both",
    "two metrics",
)
def draw_pareto(data: FigureData) -> Drawing:
    """Draw a panel with means, intervals in both directions and the front of the students."""
    metrics = list(dict.fromkeys(data.metrics(["ood_auroc", "flops", "nll"])))
    if not data.options.metrics:
        below = data.below_chance(metrics)
        metrics = [metric for metric in metrics if metric not in below]
        metrics = [metrics[0], *metrics[-1:]]
    if len(set(metrics)) != 2:
        raise NoData("it needs two metrics: give --metric twice")
    part = "-".join(map(str, metrics)) if data.options.metrics else ""
    names = " and ".join(metric_format(metric).name for metric in metrics)
    return _draw(data, f"{names} on {data.dataset}", [_quantity(data, metrics[0])], metrics, part)


def _quantity(data: FigureData, metric: MetricInfo) -> _Quantity:
    shown, means = data.printed_means(metric)
    if not shown.exact:
        return _Quantity(shown.title, shown.better, means, data.possible_values(shown))
    # Ticks say whether a size is in thousands or millions.
    means[["mean", "low", "high"]] /= shown.factor
    title = COSTS.get(metric.name, metric_format(metric, raw=True).title)
    return _Quantity(title, metric.better, means, (0, math.inf), True)


def _latency(data: FigureData) -> _Quantity:
    """Return the latencies with their quartiles.

    A variant's latency is measured in one of its cells, which need not be of a selected seed.
    """
    columns = {"mean": LATENCY, "low": f"{LATENCY}_low", "high": f"{LATENCY}_high"}
    cells = data.results.cells.reindex(columns=["dataset", "label", *columns.values()])
    rows = cells["dataset"].eq(data.dataset) & cells["label"].isin(data.labels)
    measured = cells[rows & cells[LATENCY].gt(0)].groupby("label", observed=True)
    means = pd.DataFrame({name: measured[column].mean() * 1e3 for name, column in columns.items()})
    title = "latency of one example [ms]"
    return _Quantity(title, "lower", means.assign(n=np.nan), (0, math.inf), True)


def _draw(
    data: FigureData,
    title: str,
    quantities: Sequence[_Quantity],
    metrics: Sequence[MetricInfo],
    part: str,
) -> Drawing:
    """Draw a panel for each quantity, against the last one of the metrics."""
    quality, below = _quantity(data, metrics[-1]), data.below_chance(metrics)
    tables = [_join(x, quality) for x in quantities]
    if not any(map(len, tables)):
        raise NoData("no method has both")
    width, height = (1.6, 1.8) if len(quantities) > 1 else (2.6, 2.4)
    panels = Panels(data, len(quantities), width=width, height=height, sharey=True)
    fronts = [
        [] if below else _front(t, x, quality, data)
        for t, x in zip(tables, quantities, strict=True)
    ]
    is_cut = False
    for axes, x, table, front in zip(panels, quantities, tables, fronts, strict=True):
        is_cut |= x.set_up(axes, "x") | quality.set_up(axes, "y")
        _draw_front(axes, table.loc[front], x, quality)
        _draw_labels(panels, axes, table, is_grey=bool(below))
        arrow = BETTER.get((x.better, quality.better), "")
        panels.title(axes, arrow, loc="right" if x.better == "higher" else "left", color=GREY)
        axes.set_xlabel(wrap(f"{x.title}{scale_suffix(axes, 'x')}", panels.panel_width))
    panels.label(y=f"{quality.title}{scale_suffix(panels.axes[0], 'y')}")
    present = pd.concat(tables)
    labels = [label for label in data.labels if label in present.index]
    counts = {label: int(present["n"][[label]].max()) for label in labels}
    said = {
        FRONT: any(fronts),
        HOLLOW: {*labels} & data.results.references,
        MOVED: present["at"].ne(present["mean_x"]).any(),
        QUARTILES: (present["n_x"].isna() & present["low_x"].notna()).any(),
        CUT: is_cut,
    }
    parts = [describe_below_chance(below), *(text for text, is_said in said.items() if is_said)]
    alt = f"{quality.title} on {data.dataset} against {', '.join(x.title for x in quantities)}."
    if fronts[0]:
        alt += f" By {quantities[0].title}, none is better in both than {', '.join(fronts[0])}."
    note = data.note(describe_intervals(counts, *parts), counts, metrics=metrics)
    return panels.finish(title, alt, note, _legend(data, labels, bool(below)), part)


def _join(x: _Quantity, y: _Quantity) -> pd.DataFrame:
    """Return the means of labels that have both, and their least n."""
    table = x.means.merge(y.means, left_index=True, right_index=True)
    return table.assign(n=np.fmin(table["n_x"], table["n_y"]))


def _front(table: pd.DataFrame, x: _Quantity, y: _Quantity, data: FigureData) -> list[str]:
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


def _draw_front(axes: Axes, front: pd.DataFrame, x: _Quantity, y: _Quantity) -> None:
    """Draw the border of what the front beats, from the one end of the panel to the other."""
    if len(front):
        worst_x, worst_y = (
            (axes.get_xlim(), axes.get_ylim())[k][q.better == "lower"] for k, q in enumerate((x, y))
        )
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
        _draw_label(axes, panels.data, label, table, color)


def _draw_label(axes: Axes, data: FigureData, label: str, table: pd.DataFrame, color: str) -> None:
    """Draw a marker with its intervals, along the axis that it is beyond if it is beyond one."""
    row = table.loc[label]
    low, high = sorted(axes.get_ylim())
    marker = {"marker": data.styles[label].marker, "markersize": 4.6, "markeredgewidth": 0.4}
    is_hollow = label in data.results.references
    marker |= {"markerfacecolor": "w"} if is_hollow else {"markeredgecolor": "w"}
    main = "x" if low <= row["mean_y"] <= high else "y"
    at_y = float(np.clip(row["mean_y"], low, high))
    places: dict[AxisName, list[float]] = {"x": [at_y], "y": [float(row["at"])]}
    axes.plot([row["at"], row["mean_x"]], [at_y] * 2, color=GREY, linewidth=0.5)
    for axis, at in places.items():
        means = table.loc[[label], [f"{k}_{axis}" for k in ("mean", "low", "high")]]
        means.columns = ["mean", "low", "high"]
        if axis == main == "x":
            means["mean"] = row["at"]
        draw_means(axes, axis, at, means, color, 0.6, **(marker if axis == main else {}))


def _legend(data: FigureData, labels: Sequence[str], is_grey: bool) -> LegendEntries:
    entries = data.legend(labels, line=False)
    for handle, label in entries:
        handle.set(**({"color": DIM} if is_grey else {}))
        if label in data.results.references:
            handle.set(markerfacecolor="w", markeredgewidth=0.8)
    return entries
