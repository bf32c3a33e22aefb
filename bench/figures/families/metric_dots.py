"""Metrics as dots: every seed, the mean with its interval, the best student marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from distillation_bench.bench.analysis import values_at_bounds as at_bounds
from distillation_bench.bench.analysis.metric_info import MetricFormat, MetricInfo
from distillation_bench.bench.figures import axis_scales as scales
from distillation_bench.bench.figures import figure_data as words
from distillation_bench.bench.figures.figure_data import FigureData, seed_means
from distillation_bench.bench.figures.panels import Drawing, Panels
from distillation_bench.bench.figures.registry import NoData, figure
from distillation_bench.bench.figures.style import DIM, GREY, INK
from distillation_bench.bench.figures.text_fit import wrap

ROW_HEIGHT, LABEL_WIDTH = 0.16, 1.6


class Column(NamedTuple):
    """A metric with its values and means: one panel."""

    shown: MetricFormat
    values: pd.DataFrame
    means: pd.DataFrame
    best: str
    is_grey: bool


@figure(
    "metrics",
    "metrics as dots (--on): every seed, the mean, its interval, the best student marked",
    "values of metrics",
)
def draw_metrics(data: FigureData) -> Iterator[Drawing]:
    """Draw a panel for each metric, a row for each label; a figure for each selected set."""
    headline = [m for m, entry in data.results.manifest["metrics"].items() if entry["headline"]]
    if not data.options.sets:
        yield _draw(data, data.metrics(headline))
    for name in data.options.sets:
        chosen = [metric.partition("@")[0] for metric in data.options.metrics]
        find = data.results.metric if chosen else data.find_metric
        found = [find(f"{metric}@{name}") for metric in chosen or headline]
        metrics = [metric for metric in found if metric and len(data.values(metric))]
        if not metrics:
            raise NoData(f"no values on {name}")
        yield _draw(data, metrics, name)


def _draw(data: FigureData, metrics: Sequence[MetricInfo], set_name: str = "") -> Drawing:
    below = data.below_chance(metrics)
    columns = [_column(data, metric, metric in below) for metric in metrics]
    present = set().union(*(column.means.index for column in columns))
    labels = [label for label in data.labels if label in present]
    height = ROW_HEIGHT * len(labels) + 0.55
    panels = Panels(data, len(columns), width=1.35, height=height, sharey=True)
    are_cut = []
    for axes, column in zip(panels, columns, strict=True):
        are_cut.append(_draw_panel(axes, data, labels, column))
        title = f"{column.shown.header}{scales.scale_suffix(axes, 'x')}"
        panels.title(axes, title, color=GREY if column.is_grey else INK)
    counts = {k: max(int(c.means["n"].get(k, 0)) for c in columns) for k in labels}
    why_grey = words.describe_below_chance(below)
    tempered = at_bounds.describe_temperatures(
        [m.name for m in metrics], data.done["id"], at_bounds.temperatures_at_bound(data.results)
    )
    text = words.describe_intervals(counts, why_grey, tempered, scales.CUT if any(are_cut) else "")
    alt = f"Values of {', '.join(labels)} on {data.dataset}, every seed a dot."
    best = [
        f"{c.shown.name}: {c.best} ({words.with_unit(c.shown, c.means['mean'][c.best])})"
        for c in columns
        if c.best
    ]
    alt += f" Best student means: {'; '.join(best)}." if best else ""
    alt += f" In {why_grey}." if below else ""
    title = f"Metrics on {set_name} of {data.dataset}" if set_name else f"Metrics on {data.dataset}"
    return panels.finish(title, alt, data.note(text, counts, metrics=metrics), _legend(), set_name)


def _column(data: FigureData, metric: MetricInfo, is_grey: bool) -> Column:
    shown, values = data.printed_values(metric)
    means = seed_means(values, possible=data.possible_values(shown))
    best = "" if is_grey else data.best_student(means, shown.better)
    return Column(shown, values, means, best, is_grey)


def _draw_panel(axes: Axes, data: FigureData, labels: Sequence[str], column: Column) -> bool:
    """Draw a metric; return whether something is beyond the axis."""
    ends = column.means[["low", "high"]].to_numpy().ravel()
    possible = data.possible_values(column.shown)
    is_cut = scales.set_limits(axes, "x", column.values["value"], ends, possible)
    for row, label in enumerate(labels):
        if label not in column.means.index:
            continue
        style, is_best = data.styles[label], label == column.best
        color = DIM if column.is_grey else style.color
        seeds = column.values["value"][column.values["label"].eq(label)]
        axes.plot(seeds, [row + 0.3] * len(seeds), ".", color=color, markersize=2.6)
        marker: dict[str, Any] = {"marker": style.marker, "markersize": 6 if is_best else 4}
        marker |= {"markeredgecolor": INK, "markeredgewidth": 1.0} if is_best else {}
        scales.draw_means(axes, "x", [row], column.means.loc[[label]], color, 1.0, **marker)
    names = [wrap(label, LABEL_WIDTH, lines=1) for label in labels]
    empty = [row for row, label in enumerate(labels) if label not in column.means.index]
    scales.set_rows(axes, names, empty)
    scales.set_ticks(axes.xaxis, 3)
    return is_cut


def _legend() -> list[tuple[Artist, str]]:
    grey: dict[str, Any] = {"color": GREY, "markersize": 4}
    best = grey | {"markersize": 6, "markeredgecolor": INK, "markeredgewidth": 1.0}
    return [
        (Line2D([], [], marker=".", linestyle="none", **grey), "one seed"),
        (Line2D([], [], marker="o", **grey), "mean and interval"),
        (Line2D([], [], marker="o", linestyle="none", **best), "best student mean"),
    ]
