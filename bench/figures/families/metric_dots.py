"""Metrics as dots: every seed, the mean with its interval, the best student marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from distillation_bench.bench.analysis import values_at_bounds as at_bounds
from distillation_bench.bench.analysis.metric_info import MetricInfo
from distillation_bench.bench.figures.axis_scales import draw_means, scale_suffix, set_rows
from distillation_bench.bench.figures.figure_data import FigureData, seed_counts
from distillation_bench.bench.figures.panels import Drawing, LegendEntries, Panels
from distillation_bench.bench.figures.registry import NoData, figure
from distillation_bench.bench.figures.shown_metrics import ShownMetric, describe_best, describe_grey
from distillation_bench.bench.figures.style import DIM, GREY, INK
from distillation_bench.bench.figures.text_fit import wrap

ROW_HEIGHT, LABEL_WIDTH = 0.16, 1.6
BEST: dict[str, Any] = {"markersize": 6, "markeredgecolor": INK, "markeredgewidth": 1.0}


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
    columns = [data.shown(metric) for metric in metrics]
    counts = seed_counts((shown.means for shown in columns), data.labels)
    height = ROW_HEIGHT * len(counts) + 0.55
    panels = Panels(data, len(columns), width=1.35, height=height, sharey=True)
    for axes, shown in zip(panels, columns, strict=True):
        limits = {"ticks": 3, "values": shown.values["value"]}
        panels.scale(axes, "x", shown.means, shown.possible, **limits)
        _draw_panel(axes, data, [*counts], shown)
        panels.title(axes, f"{shown.format.header}{scale_suffix(axes, 'x')}", color=shown.color)
    tempered = at_bounds.describe_temperatures(
        [m.name for m in metrics], data.done["id"], at_bounds.temperatures_at_bound(data.results)
    )
    alt = f"Values of {', '.join(counts)} on {data.dataset}, every seed a dot."
    alt += describe_best(columns) + (f" In {grey}." if (grey := describe_grey(columns)) else "")
    title = f"Metrics on {set_name} of {data.dataset}" if set_name else f"Metrics on {data.dataset}"
    note = data.note(counts, tempered, panels.cut, shown=columns)
    return panels.finish(title, alt, note, _legend(), set_name)


def _draw_panel(axes: Axes, data: FigureData, labels: Sequence[str], shown: ShownMetric) -> None:
    best, empty = shown.best, []
    for row, label in enumerate(labels):
        if label not in shown.means.index:
            empty.append(row)
            continue
        style = data.styles[label]
        color = DIM if shown.why_grey else style.color
        seeds = shown.values["value"][shown.values["label"].eq(label)]
        axes.plot(seeds, [row + 0.3] * len(seeds), ".", color=color, markersize=2.6)
        marker = {"marker": style.marker, "markersize": 4} | (BEST if label == best else {})
        draw_means(axes, "x", [row], shown.means.loc[[label]], color, 1.0, **marker)
    set_rows(axes, [wrap(label, LABEL_WIDTH, lines=1) for label in labels], empty)


def _legend() -> LegendEntries:
    grey: dict[str, Any] = {"color": GREY, "markersize": 4}
    return [
        (Line2D([], [], marker=".", linestyle="none", **grey), "one seed"),
        (Line2D([], [], marker="o", **grey), "mean and interval"),
        (Line2D([], [], marker="o", linestyle="none", **grey | BEST), "best student mean"),
    ]
