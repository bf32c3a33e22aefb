"""Ablations: variants of a method that differ in one parameter only, joined by lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from distillation_bench.bench.analysis.old_metric_formats import MetricFormat
from distillation_bench.bench.analysis.old_results import MetricInfo
from distillation_bench.bench.analysis.statistics import Interval
from distillation_bench.bench.common.hashing import canonical_json
from distillation_bench.bench.figures.old.appearance.axis_scales import (
    draw_intervals,
    printed_bounds,
    scale_suffix,
    set_limits,
    set_ticks,
)
from distillation_bench.bench.figures.old.appearance.colors import GREY, INK
from distillation_bench.bench.figures.old.appearance.layout import (
    NoData,
    PanelGrid,
    Spacing,
    panel_grid,
)
from distillation_bench.bench.figures.old.appearance.style import COLUMN, PAGE
from distillation_bench.bench.figures.old.appearance.text_fit import drawable, wrap
from distillation_bench.bench.figures.old.dataset_data import (
    DatasetData,
    LabelValues,
    seed_interval,
)
from distillation_bench.bench.figures.old.figure_types import DrawnFigure
from distillation_bench.bench.figures.old.notes import (
    describe_below_chance,
    describe_intervals,
    joined,
    note_over_seeds,
)

METRICS = ("nll", "ood_auroc", "teacher_tv_epistemic")
MAX_SWEEPS = 5
SYMBOLS = {"lam": "λ"}
"""Parameters that papers write with a symbol."""

PanelRow = tuple[MetricFormat, LabelValues]
"""A metric and its printed values: one row of panels."""


@dataclass(frozen=True)
class Sweep:
    """A parameter of a method with its values.

    Attributes:
        method: name of the method.
        parameter: name of the parameter.
        values: its values as text, in order.
        groups: variants that differ in nothing else, as label by value.
    """

    method: str
    parameter: str
    values: Sequence[str]
    groups: Sequence[Mapping[str, str]]


def draw_ablation(data: DatasetData) -> list[DrawnFigure]:
    """Draw a column for each parameter of a method and a row for each metric."""
    metrics = data.metrics(METRICS)
    sweeps = _sweeps(data)[:MAX_SWEEPS]
    if not sweeps:
        raise NoData("no two variants of a method differ in one parameter alone")
    swept = {label for sweep in sweeps for group in sweep.groups for label in group.values()}
    labels = [label for label in data.labels if label in swept]
    rows = [data.printed_values(metric) for metric in metrics]
    grid = _layout(data, sweeps, labels, rows)
    below_chance = data.below_chance(metrics)
    for index, axes in enumerate(grid.axes):
        shown, values = rows[index // len(sweeps)]
        sweep = sweeps[index % len(sweeps)]
        means = {k: seed_interval(v) for k, v in values.items() if k in labels}
        _draw_panel(axes, data, sweep, shown, means)
        _label_panel(grid, index, sweep, shown, below_chance)
    grid.share_scales()
    alt = _alt_text(data, sweeps, labels, rows)
    return [data.finish("ablation", f"Ablation on {data.dataset}", alt, grid.figure)]


def _layout(
    data: DatasetData, sweeps: Sequence[Sweep], labels: Sequence[str], rows: Sequence[PanelRow]
) -> PanelGrid:
    counts = {label: max(len(values.get(label, {})) for _, values in rows) for label in labels}
    below_chance = data.below_chance([shown.metric for shown, _ in rows])
    text = "lines join variants that differ in nothing else; values equally spaced"
    text = describe_intervals(counts, joined(text, describe_below_chance(below_chance)))
    return panel_grid(
        len(rows) * len(sweeps),
        len(sweeps),
        0.95,
        COLUMN if len(sweeps) <= 2 and len(labels) <= 12 else PAGE,
        spacing=Spacing(left=0.5, bottom=0.45, column_gap=0.12, row_gap=0.12),
        legend=[data.styles.legend_entry(label, line=False) for label in labels],
        note=note_over_seeds(data, text, counts, labels),
    )


def _label_panel(
    grid: PanelGrid,
    index: int,
    sweep: Sweep,
    shown: MetricFormat,
    below_chance: Mapping[MetricInfo, object],
) -> None:
    axes = grid.axes[index]
    if index < grid.columns:
        axes.set_title(drawable(sweep.method))
    if grid.is_left(index):
        color = GREY if shown.metric in below_chance else INK
        axes.set_ylabel(f"{drawable(shown.header)}{scale_suffix(axes, 'y')}", color=color)
    if grid.is_bottom(index):
        axes.set_xlabel(drawable(SYMBOLS.get(sweep.parameter, sweep.parameter)))


def _alt_text(
    data: DatasetData, sweeps: Sequence[Sweep], labels: Sequence[str], rows: Sequence[PanelRow]
) -> str:
    names = ", ".join(shown.name for shown, _ in rows)
    parameters = ", ".join(f"{sweep.parameter} of {sweep.method}" for sweep in sweeps)
    alt = f"{names} on {data.dataset} against {parameters}."
    shown, values = rows[0]
    compared = {label: seeds for label, seeds in values.items() if label in labels}
    detection = data.below_chance([shown.metric]).get(shown.metric)
    best = data.best_student(compared, shown.better, detection)
    if best:
        mean = shown.text(seed_interval(values[best]).mean)
        alt += f" The best mean {shown.name} is that of {best} ({mean})."
    return alt


def _sweeps(data: DatasetData) -> list[Sweep]:
    """Return each parameter of a method in which alone some of its variants differ."""
    methods: dict[str, dict[str, Mapping[str, Any]]] = {}
    for (dataset, label, _), cell in data.results.cells.items():
        if dataset == data.dataset and label in data.labels:
            methods.setdefault(cell["method"], {})[label] = cell["parameters"]
    sweeps = []
    for method, variants in methods.items():
        for parameter in dict.fromkeys(
            name for parameters in variants.values() for name in parameters
        ):
            groups = _groups(variants, parameter)
            if groups:
                values = sorted({value for group in groups for value in group}, key=_sort_key)
                sweeps.append(Sweep(method, parameter, values, groups))
    return sweeps


def _groups(variants: Mapping[str, Mapping[str, Any]], parameter: str) -> list[dict[str, str]]:
    """Return groups of at least two variants that differ in a parameter only, label by value."""
    groups: dict[str, dict[str, str]] = {}
    for label, parameters in variants.items():
        others = canonical_json({k: v for k, v in parameters.items() if k != parameter})
        groups.setdefault(others, {})[_value_text(parameters.get(parameter))] = label
    return [group for group in groups.values() if len(group) > 1]


def _draw_panel(
    axes: Axes,
    data: DatasetData,
    sweep: Sweep,
    shown: MetricFormat,
    means: Mapping[str, Interval],
) -> None:
    ends = [end for mean in means.values() for end in (mean.low, mean.high)]
    set_limits(axes, "y", [mean.mean for mean in means.values()], ends, printed_bounds(shown))
    for index, group in enumerate(sweep.groups):
        # Groups stand side by side, or their intervals would hide each other.
        shift = min(0.12, 0.5 / len(sweep.groups)) * (index - (len(sweep.groups) - 1) / 2)
        points = [
            (sweep.values.index(value) + shift, group[value])
            for value in sweep.values
            if value in group and group[value] in means
        ]
        _draw_group(axes, data, points, means)
    axes.set_xlim(-0.5, len(sweep.values) - 0.5)
    axes.set_xticks(range(len(sweep.values)), [wrap(value, 0.6) for value in sweep.values])
    set_ticks(axes.yaxis, 3)


def _draw_group(
    axes: Axes,
    data: DatasetData,
    points: Iterable[tuple[float, str]],
    means: Mapping[str, Interval],
) -> None:
    points = list(points)
    axes.plot(
        [x for x, _ in points],
        [means[label].mean for _, label in points],
        color=GREY,
        linewidth=0.8,
        zorder=0,
    )
    marker: dict[str, Any] = {"markersize": 4.5, "markeredgewidth": 0}
    for x, label in points:
        style, mean = data.styles[label], means[label]
        draw_intervals(axes, "y", [x], [mean], style.color)
        axes.plot([x], [mean.mean], style.marker, color=style.color, **marker)


def _value_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"{value:g}"
    return "none" if value is None else str(value)


def _sort_key(text: str) -> tuple[bool, float, str]:
    """Sort numbers in ascending order, then words."""
    try:
        return False, float(text), ""
    except ValueError:
        return True, 0.0, text
