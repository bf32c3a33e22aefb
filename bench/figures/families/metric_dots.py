"""Metrics as dots: every seed, the mean with its interval, the best student marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from distillation_bench.bench.analysis.old_chance_level import TeacherDetection
from distillation_bench.bench.analysis.old_metric_formats import MetricFormat
from distillation_bench.bench.analysis.old_results import MetricInfo
from distillation_bench.bench.analysis.old_values_at_bounds import (
    describe_temperatures,
    temperatures_at_bound,
)
from distillation_bench.bench.analysis.statistics import Interval
from distillation_bench.bench.figures.appearance.axis_scales import (
    draw_intervals,
    printed_bounds,
    scale_suffix,
    set_limits,
    set_ticks,
)
from distillation_bench.bench.figures.appearance.colors import DIM, FAINT, GREY, INK
from distillation_bench.bench.figures.appearance.layout import (
    NoData,
    PanelGrid,
    Spacing,
    even_columns,
    panel_grid,
)
from distillation_bench.bench.figures.appearance.style import COLUMN, PAGE
from distillation_bench.bench.figures.appearance.text_fit import text_width, wrap
from distillation_bench.bench.figures.dataset_data import (
    DatasetData,
    LabelValues,
    SeedValues,
    seed_interval,
)
from distillation_bench.bench.figures.figure_types import DrawnFigure
from distillation_bench.bench.figures.notes import (
    describe_below_chance,
    describe_intervals,
    joined,
    note_over_seeds,
)

ROW_HEIGHT = 0.16
LABEL_WIDTH = 1.8
MAX_COLUMNS = 4


@dataclass(frozen=True)
class _Column:
    """A metric with its values: one panel."""

    shown: MetricFormat
    values: LabelValues
    means: Mapping[str, Interval]
    best: str
    is_below_chance: bool


def draw_metrics(data: DatasetData) -> list[DrawnFigure]:
    """Draw a panel for each metric, a row for each label; a figure for each selected set."""
    if not data.options.sets:
        return [_draw(data, data.metrics(data.headline_metrics))]
    return [_draw(data, _metrics_on(data, name), name) for name in data.options.sets]


def _metrics_on(data: DatasetData, set_name: str) -> list[MetricInfo]:
    """Return the headline metrics that have values on an evaluation set."""
    names = [f"{name}@{set_name}" for name in data.headline_metrics]
    metrics = [metric for name in names if (metric := data.find_metric(name))]
    metrics = [metric for metric in metrics if data.finite_values(metric)]
    if not metrics:
        raise NoData(f"no values on {set_name}")
    return metrics


def _draw(data: DatasetData, metrics: Sequence[MetricInfo], set_name: str = "") -> DrawnFigure:
    below_chance = data.below_chance(metrics)
    columns = [_column(data, metric, metric in below_chance) for metric in metrics]
    labels = [label for label in data.labels if any(label in c.values for c in columns)]
    names = [wrap(label, LABEL_WIDTH, lines=1) for label in labels]
    grid = _layout(data, labels, names, columns, below_chance)
    for index, (axes, column) in enumerate(zip(grid.axes, columns, strict=True)):
        _draw_panel(axes, data, labels, column)
        width = axes.get_position().width * grid.figure.get_figwidth()
        title = wrap(f"{column.shown.header}{scale_suffix(axes, 'x')}", width)
        axes.set_title(title, color=GREY if column.is_below_chance else INK)
        if grid.is_left(index):
            axes.set_yticklabels(names)
    alt = _alt_text(data, labels, columns, below_chance)
    subject = f"{set_name} of {data.dataset}" if set_name else data.dataset
    return data.finish("metrics", f"Metrics on {subject}", alt, grid.figure, set_name)


def _column(data: DatasetData, metric: MetricInfo, is_below_chance: bool) -> _Column:
    shown, values = data.printed_values(metric)
    means = {label: seed_interval(seeds) for label, seeds in values.items()}
    best = "" if is_below_chance else data.best_student(values, shown.better)
    return _Column(shown, values, means, best, is_below_chance)


def _layout(
    data: DatasetData,
    labels: Sequence[str],
    names: Sequence[str],
    columns: Sequence[_Column],
    below_chance: Mapping[MetricInfo, TeacherDetection],
) -> PanelGrid:
    counts = {label: max(len(c.values.get(label, {})) for c in columns) for label in labels}
    across = even_columns(len(columns), MAX_COLUMNS)
    cells = [data.key(label, seed) for label in labels for seed in data.seeds(label)]
    at_bound = describe_temperatures(
        [column.shown.metric.name for column in columns],
        cells,
        temperatures_at_bound(data.results.rows),
    )
    addition = joined(describe_below_chance(below_chance), at_bound)
    return panel_grid(
        len(columns),
        across,
        ROW_HEIGHT * len(labels) + 0.08,
        COLUMN if across == 1 else PAGE,
        spacing=Spacing(
            left=max(map(text_width, names)) + 0.12, bottom=0.2, column_gap=0.2, row_gap=0.42
        ),
        legend=_legend(),
        note=note_over_seeds(data, describe_intervals(counts, addition), counts),
    )


def _alt_text(
    data: DatasetData,
    labels: Sequence[str],
    columns: Sequence[_Column],
    below_chance: Mapping[MetricInfo, TeacherDetection],
) -> str:
    alt = f"Values of {', '.join(labels)} on {data.dataset}, every seed a dot."
    best = [
        f"{c.shown.name}: {c.best} ({c.shown.text(c.means[c.best].mean)} {c.shown.unit}".rstrip()
        + ")"
        for c in columns
        if c.best
    ]
    if best:
        alt += f" Best student means: {'; '.join(best)}."
    if below_chance:
        alt += f" In {describe_below_chance(below_chance)}."
    return alt


def _draw_panel(axes: Axes, data: DatasetData, labels: Sequence[str], column: _Column) -> None:
    values = [value for seeds in column.values.values() for value in seeds.values()]
    ends = [end for mean in column.means.values() for end in (mean.low, mean.high)]
    set_limits(axes, "x", values, ends, printed_bounds(column.shown))
    for row, label in enumerate(labels):
        if label in column.values:
            _draw_label(axes, data, row, label, column)
        else:
            transform = axes.get_yaxis_transform()
            axes.text(0.02, row, "–", va="center", color=GREY, transform=transform)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_yticks(range(len(labels)), [""] * len(labels))
    axes.tick_params(axis="y", length=0)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=FAINT, linewidth=0.4)
    set_ticks(axes.xaxis, 3)


def _draw_label(axes: Axes, data: DatasetData, row: int, label: str, column: _Column) -> None:
    style, mean, is_best = data.styles[label], column.means[label], label == column.best
    seeds: SeedValues = column.values[label]
    color = DIM if column.is_below_chance else style.color
    heights = [row + 0.3] * len(seeds)
    axes.plot(list(seeds.values()), heights, ".", color=color, markersize=2.6, markeredgewidth=0)
    draw_intervals(axes, "x", [row], [mean], color, 1.0)
    axes.plot(
        [mean.mean],
        [row],
        style.marker,
        color=color,
        markersize=6 if is_best else 4,
        markeredgecolor=INK if is_best else color,
        markeredgewidth=1.0 if is_best else 0.5,
        zorder=3,
    )


def _legend() -> list[tuple[Line2D, str]]:
    dot = Line2D([], [], color=GREY, marker=".", linestyle="none", markersize=4)
    mean = Line2D([], [], color=GREY, marker="o", markersize=4)
    best = Line2D(
        [], [], color=GREY, marker="o", markeredgecolor=INK, markersize=6, linestyle="none"
    )
    return [(dot, "one seed"), (mean, "mean and interval"), (best, "best student mean")]
