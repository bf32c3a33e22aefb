"""A metric against the severity of shifts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np
from matplotlib.axes import Axes

from distillation_bench.bench.analysis.old_metric_formats import MetricFormat, metric_format
from distillation_bench.bench.analysis.old_results import MetricInfo
from distillation_bench.bench.analysis.statistics import Interval
from distillation_bench.bench.figures.old.appearance.axis_scales import (
    draw_intervals,
    printed_bounds,
    scale_suffix,
    set_limits,
    set_ticks,
)
from distillation_bench.bench.figures.old.appearance.layout import (
    NoData,
    PanelGrid,
    Spacing,
    even_columns,
    panel_grid,
)
from distillation_bench.bench.figures.old.appearance.style import COLUMN, PAGE
from distillation_bench.bench.figures.old.appearance.text_fit import drawable, wrap
from distillation_bench.bench.figures.old.dataset_data import (
    DatasetData,
    LabelValues,
    SeedValues,
    seed_interval,
)
from distillation_bench.bench.figures.old.figure_types import DrawnFigure
from distillation_bench.bench.figures.old.notes import (
    describe_below_chance,
    describe_intervals,
    joined,
    note_over_seeds,
)

MAX_COLUMNS = 5

SeverityValues = Mapping[int, LabelValues]
"""Values of a metric by severity, label and seed."""
SeverityMeans = Mapping[str, Mapping[int, Interval]]
"""Means over seeds by label and severity."""


def draw_shift(data: DatasetData) -> list[DrawnFigure]:
    """Draw a figure for each metric, a panel for each shift; severity 0 is the test set."""
    return [_draw(data, name) for name in data.options.metrics or ("nll",)]


def _draw(data: DatasetData, name: str) -> DrawnFigure:
    metric = data.results.metric(name.partition("@")[0])
    shifts = _values_by_shift(data, metric)
    if not shifts:
        raise NoData(f"no {metric.name} on shifted test sets")
    shown = metric_format(metric, [])
    labels = [label for label in data.labels if _counts([label], shifts)[label]]
    grid = _layout(data, metric, shifts, labels)
    means = [_means(labels, severities, shown) for severities in shifts.values()]
    heights = [span.mean for label in labels for shift in means for span in shift[label].values()]
    for axes, shift, shift_means in zip(grid.axes, shifts, means, strict=True):
        set_limits(axes, "y", heights, bounds=printed_bounds(shown))
        _draw_panel(axes, data, shift_means)
        axes.set_xticks(sorted(shifts[shift]))
        set_ticks(axes.yaxis)
        axes.set_title(wrap(shift, axes.get_position().width * grid.figure.get_figwidth(), 1))
    grid.share_scales()
    grid.label_axes("severity", f"{drawable(shown.header)}{scale_suffix(grid.axes[0], 'y')}")
    title = f"{shown.name} under shift on {data.dataset}"
    part = metric.name if data.options.metrics else ""
    alt = _alt_text(data, shown, labels, shifts)
    return data.finish("shift", title, alt, grid.figure, part)


def _values_by_shift(data: DatasetData, metric: MetricInfo) -> dict[str, SeverityValues]:
    """Return values by shift, with those of the test set as severity 0."""
    shifted: dict[str, dict[int, LabelValues]] = {}
    for (shift, severity), values in data.run.shifted_values(metric.name).items():
        selected = data.select(values)
        if selected:
            shifted.setdefault(shift, {})[severity] = selected
    unshifted = data.finite_values(data.results.metric(metric.name))
    return {
        shift: {0: unshifted, **dict(sorted(severities.items()))}
        for shift, severities in sorted(shifted.items(), key=lambda item: _natural_key(item[0]))
    }


def _natural_key(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts numbers within names by their value."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]


def _counts(labels: Sequence[str], shifts: Mapping[str, SeverityValues]) -> dict[str, int]:
    """Return the largest number of seeds of each label on any set."""
    sets = [values for severities in shifts.values() for values in severities.values()]
    return {label: max(len(values.get(label, {})) for values in sets) for label in labels}


def _layout(
    data: DatasetData,
    metric: MetricInfo,
    shifts: Mapping[str, SeverityValues],
    labels: Sequence[str],
) -> PanelGrid:
    columns = even_columns(len(shifts), MAX_COLUMNS)
    counts = _counts(labels, shifts)
    below_chance = describe_below_chance(data.below_chance([metric]))
    text = describe_intervals(counts, joined("severity 0 is the test set", below_chance))
    return panel_grid(
        len(shifts),
        columns,
        1.3 if columns < 4 else 0.95,
        COLUMN if columns <= 2 else PAGE,
        spacing=Spacing(column_gap=0.1, row_gap=0.24),
        legend=[data.styles.legend_entry(label) for label in labels],
        note=note_over_seeds(data, text, counts),
    )


def _means(labels: Sequence[str], severities: SeverityValues, shown: MetricFormat) -> SeverityMeans:
    return {
        label: {
            severity: seed_interval(_printed(values[label], shown))
            for severity, values in severities.items()
            if label in values
        }
        for label in labels
    }


def _printed(values: SeedValues, shown: MetricFormat) -> dict[int, float]:
    return {seed: shown.convert(value) for seed, value in values.items()}


def _alt_text(
    data: DatasetData,
    shown: MetricFormat,
    labels: Sequence[str],
    shifts: Mapping[str, SeverityValues],
) -> str:
    alt = (
        f"{shown.name} of {', '.join(labels)} on {data.dataset} against the severity of "
        f"{', '.join(shifts)}."
    )
    worst = {label: _worst_values(label, shifts, shown) for label in labels}
    detection = data.below_chance([shown.metric]).get(shown.metric)
    if best := data.best_student(worst, shown.better, detection):
        value = f"{shown.text(fmean(worst[best].values()))} {shown.unit}".rstrip()
        alt += f" In the worst case {best} keeps the best mean ({value})."
    return alt


def _worst_values(
    label: str, shifts: Mapping[str, SeverityValues], shown: MetricFormat
) -> SeedValues:
    """Return a label's values by seed on the set on which their mean is the worst."""
    sets = [values for severities in shifts.values() for values in severities.values()]
    printed = [_printed(values[label], shown) for values in sets if label in values]
    worst = max if shown.better == "lower" else min
    return worst(printed, key=lambda values: fmean(values.values()))


def _draw_panel(axes: Axes, data: DatasetData, means: SeverityMeans) -> None:
    for position, (label, intervals) in enumerate(means.items()):
        style = data.styles[label]
        # Labels stand side by side, or their intervals would hide each other.
        shift = (position / max(1, len(means) - 1) - 0.5) * 0.3
        x = np.array(list(intervals)) + shift
        draw_intervals(axes, "y", x.tolist(), list(intervals.values()), style.color, 0.6)
        axes.plot(
            x,
            [interval.mean for interval in intervals.values()],
            color=style.color,
            linestyle=style.dashes,
            marker=style.marker,
            markersize=2.5,
            linewidth=0.8,
        )
