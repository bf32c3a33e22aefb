"""Quality against cost, with the methods that no other beats in both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from distillation_bench.bench.analysis.old_metric_formats import MetricFormat
from distillation_bench.bench.analysis.statistics import Interval
from distillation_bench.bench.figures.old.appearance.axis_scales import (
    draw_intervals,
    printed_bounds,
    scale_suffix,
    set_limits,
    set_ticks,
    short_number,
)
from distillation_bench.bench.figures.old.appearance.colors import GREY, INK
from distillation_bench.bench.figures.old.appearance.layout import (
    NoData,
    PanelGrid,
    Spacing,
    panel_grid,
)
from distillation_bench.bench.figures.old.appearance.style import COLUMN, PAGE
from distillation_bench.bench.figures.old.appearance.text_fit import drawable
from distillation_bench.bench.figures.old.dataset_data import (
    DatasetData,
    LabelValues,
    seed_interval,
)
from distillation_bench.bench.figures.old.figure_types import DrawnFigure
from distillation_bench.bench.figures.old.notes import (
    describe_below_chance,
    describe_intervals,
    note_over_seeds,
)

Costs = Mapping[str, Mapping[str, float]]
"""By name of a cost with its unit, the mean over seeds of each label."""
Points = Mapping[str, tuple[float, Interval]]
"""Cost and quality of each label."""


def draw_cost(data: DatasetData) -> list[DrawnFigure]:
    """Draw a figure for each metric, against FLOPs, parameters and latency."""
    return [_draw(data, name) for name in data.options.metrics or ("nll",)]


def _draw(data: DatasetData, name: str) -> DrawnFigure:
    metric = data.metric(name)
    shown, values = data.printed_values(metric)
    quality = {label: seed_interval(seeds) for label, seeds in values.items()}
    costs = {what: cost for what, cost in _costs(data).items() if cost.keys() & quality.keys()}
    if not costs:
        raise NoData("no cell has a cost")
    below_chance = describe_below_chance(data.below_chance([metric]))
    grid = _layout(data, values, costs, below_chance)
    fronts = []
    for axes, (what, cost) in zip(grid.axes, costs.items(), strict=True):
        points = {label: (cost[label], quality[label]) for label in quality if label in cost}
        front = [] if below_chance else _front(points, shown.better)
        fronts.append(front)
        _set_quality_limits(axes, quality, shown)
        _draw_panel(axes, data, points, front)
        axes.set_xlabel(f"{what}{scale_suffix(axes, 'x')}")
    grid.share_scales(x=False)
    label = f"{drawable(shown.header)}{scale_suffix(grid.axes[0], 'y')}"
    grid.axes[0].set_ylabel(label, color=GREY if below_chance else INK)
    alt = f"{shown.header} on {data.dataset} against {', '.join(costs)}."
    if below_chance:
        alt += f" In {below_chance}."
    else:
        best = next(filter(None, fronts), [])
        alt += f" By {next(iter(costs))}, none is better in both than {', '.join(best)}."
    title = f"{shown.name} against cost on {data.dataset}"
    part = metric.name if data.options.metrics else ""
    return data.finish("cost", title, alt, grid.figure, part)


def _layout(data: DatasetData, values: LabelValues, costs: Costs, below_chance: str) -> PanelGrid:
    counts = {label: len(seeds) for label, seeds in values.items()}
    addition = below_chance or "grey: means that none beats in both"
    return panel_grid(
        len(costs),
        len(costs),
        1.5,
        COLUMN if len(costs) == 1 else PAGE,
        spacing=Spacing(top=0.08, column_gap=0.15, row_gap=0.3),
        legend=[data.styles.legend_entry(label, line=False) for label in values],
        note=note_over_seeds(data, describe_intervals(counts, addition), counts),
    )


def _costs(data: DatasetData) -> Costs:
    costs: dict[str, dict[str, float]] = {}
    for name, what in (("flops", "FLOPs per example"), ("parameters", "parameters")):
        if metric := data.find_metric(name):
            costs[what] = _means(data.finite_values(metric))
    costs["latency, batch of 1 [ms]"] = _means(_latencies(data))
    return {what: means for what, means in costs.items() if means}


def _means(values: LabelValues) -> dict[str, float]:
    return {label: seed_interval(seeds).mean for label, seeds in values.items()}


def _latencies(data: DatasetData) -> LabelValues:
    """Return milliseconds by label and seed.

    A variant's latency is measured in one of its cells, which need not be of a selected seed.
    """
    latencies: dict[str, dict[int, float]] = {}
    for (dataset, label, seed), facts in data.results.facts.items():
        if dataset == data.dataset and label in data.labels and facts.latency:
            latencies.setdefault(label, {})[seed] = facts.latency * 1e3
    return latencies


def _set_quality_limits(axes: Axes, quality: Mapping[str, Interval], shown: MetricFormat) -> None:
    means = [interval.mean for interval in quality.values()]
    ends = [end for interval in quality.values() for end in (interval.low, interval.high)]
    set_limits(axes, "y", means, ends, printed_bounds(shown))


def _draw_panel(axes: Axes, data: DatasetData, points: Points, front: Sequence[str]) -> None:
    costs = [cost for cost, _ in points.values()]
    if max(costs) > 5 * min(costs):
        axes.set_xscale("log")
    axes.plot(
        [points[label][0] for label in front],
        [points[label][1].mean for label in front],
        color=GREY,
        linewidth=0.8,
        zorder=0,
        drawstyle="steps-post",
    )
    marker: dict[str, Any] = {"markersize": 4.5, "markeredgewidth": 0}
    for label, (cost, quality) in points.items():
        style = data.styles[label]
        draw_intervals(axes, "y", [cost], [quality], style.color, 0.6)
        axes.plot([cost], [quality.mean], style.marker, color=style.color, **marker)
    axes.margins(x=0.12)
    set_ticks(axes.xaxis, 3, short_number)
    set_ticks(axes.yaxis)


def _front(points: Points, better: str) -> list[str]:
    """Return the labels that are better than all cheaper ones, the cheapest first."""
    sign = -1 if better == "higher" else 1
    by_cost = sorted(points.items(), key=lambda item: (item[1][0], sign * item[1][1].mean))
    best, front = math.inf, []
    for label, (_, quality) in by_cost:
        if sign * quality.mean < best:
            best = sign * quality.mean
            front.append(label)
    return front
