"""Reliability diagrams: accuracy against confidence."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

import numpy as np
from matplotlib.axes import Axes

from distillation_bench.bench.figures.old.appearance.axis_scales import set_ticks
from distillation_bench.bench.figures.old.appearance.colors import FAINT
from distillation_bench.bench.figures.old.appearance.layout import (
    NoData,
    PanelGrid,
    Spacing,
    even_columns,
    panel_grid,
)
from distillation_bench.bench.figures.old.appearance.style import COLUMN, LINE, PAGE, LabelStyle
from distillation_bench.bench.figures.old.appearance.text_fit import wrap
from distillation_bench.bench.figures.old.dataset_data import DatasetData, LabelValues
from distillation_bench.bench.figures.old.figure_types import DrawnFigure
from distillation_bench.bench.figures.old.notes import note_over_seeds
from distillation_bench.bench.figures.stored_curves import set_name, values_on_set

MAX_COLUMNS = 6
MAX_SIDE = 1.6

SeedBins = Mapping[int, np.ndarray]
"""By seed, bins [3, 15] of confidence: examples, mean confidence, accuracy."""


def draw_reliability(data: DatasetData) -> list[DrawnFigure]:
    """Draw a figure for each set: a panel for each label, examples of all seeds in 15 bins."""
    return [_draw(data, set_name(selector)) for selector in data.options.sets or ("test",)]


def _draw(data: DatasetData, name: str) -> DrawnFigure:
    bins = data.array_of_seeds(f"reliability/{name}")
    if not bins:
        raise NoData(f"no reliability on {name}: it needs classes")
    grid, titles = _layout(data, bins, name)
    eces = _eces(data, bins, name)
    texts = {label: f"{100 * fmean(seeds.values()):.2f} %" for label, seeds in eces.items()}
    for axes, (label, seeds), title in zip(grid.axes, bins.items(), titles, strict=True):
        _draw_panel(axes, np.array([*seeds.values()]), data.styles[label])
        axes.set_title(f"{title}\nECE {texts.get(label, '–')}")
        set_ticks(axes.xaxis, 2)
        set_ticks(axes.yaxis, 2)
    grid.share_scales()
    grid.label_axes("confidence", "accuracy")
    alt = (
        f"Reliability diagrams on {name} of {data.dataset} for {', '.join(bins)}: accuracy "
        f"against confidence."
    )
    if best := data.best_student(eces, "lower"):
        alt += f" The smallest mean ECE of a student is that of {best} ({texts[best]})."
    title = f"Reliability on {name} of {data.dataset}"
    part = name if data.options.sets else ""
    return data.finish("reliability", title, alt, grid.figure, part)


def _layout(
    data: DatasetData, bins: Mapping[str, SeedBins], name: str
) -> tuple[PanelGrid, list[str]]:
    """Return the panels and the title of each."""
    columns = even_columns(len(bins), MAX_COLUMNS)
    width = COLUMN if columns <= 3 else PAGE
    side = min((width - 0.55 - (columns - 1) * 0.1) / columns, MAX_SIDE)
    titles = [wrap(label, side) for label in bins]
    title_height = max(title.count("\n") + 2 for title in titles) * LINE + 0.08
    text = (
        f"on {name}, all seeds' examples in 15 bins of confidence; area of dots: share of "
        "examples; ECE: mean over seeds"
    )
    grid = panel_grid(
        len(bins),
        columns,
        side,
        width if side < MAX_SIDE else 0.55 + columns * 1.7,
        spacing=Spacing(top=title_height, column_gap=0.1, row_gap=title_height + 0.05),
        note=note_over_seeds(data, text, {label: len(seeds) for label, seeds in bins.items()}),
    )
    return grid, titles


def _eces(data: DatasetData, bins: Mapping[str, SeedBins], name: str) -> LabelValues:
    """Return the recorded ECE on a set, by label and seed."""
    eces: dict[str, dict[int, float]] = {}
    for label, seeds in bins.items():
        for seed in seeds:
            ece = values_on_set(data.record(label, seed), name).get("ece")
            if ece is not None:
                eces.setdefault(label, {})[seed] = ece
    return eces


def _draw_panel(axes: Axes, bins: np.ndarray, style: LabelStyle) -> None:
    """Draw the bins [S, 3, 15] of S seeds, pooled by their numbers of examples."""
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, zorder=0)
    counts = bins[:, 0]
    filled = counts.sum(0) > 0
    weights = counts[:, filled] / counts[:, filled].sum(0)
    confidence = np.nansum(weights * bins[:, 1][:, filled], 0)
    accuracy = np.nansum(weights * bins[:, 2][:, filled], 0)
    share = counts.sum(0)[filled] / counts.sum()
    axes.plot(confidence, accuracy, color=style.color, linewidth=0.8)
    axes.scatter(
        confidence, accuracy, s=2 + 40 * share, color=style.color, linewidths=0, clip_on=False
    )
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
