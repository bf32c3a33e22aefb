"""Fidelity: the student's epistemic uncertainty against the teacher's, example by example."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from distillation_bench.bench.figures.old.appearance.axis_scales import set_ticks
from distillation_bench.bench.figures.old.appearance.colors import FAINT, GREY, INK
from distillation_bench.bench.figures.old.appearance.layout import (
    NoData,
    PanelGrid,
    Spacing,
    even_columns,
    panel_grid,
)
from distillation_bench.bench.figures.old.appearance.style import COLUMN, LINE, PAGE
from distillation_bench.bench.figures.old.appearance.text_fit import wrap
from distillation_bench.bench.figures.old.dataset_data import DatasetData
from distillation_bench.bench.figures.old.figure_types import DrawnFigure
from distillation_bench.bench.figures.old.notes import note_of_one_seed
from distillation_bench.bench.figures.stored_curves import Curves, sets_to_show, values_on_set

MAX_COLUMNS = 6
MAX_SIDE = 1.6
RING: dict[str, Any] = {"marker": "o", "markersize": 2.4, "markeredgewidth": 0.3, "alpha": 0.6}
DOT: dict[str, Any] = {"marker": ".", "markersize": 1.8, "markeredgewidth": 0}
"""Markers of two sets: a grey ring, and a dot in the label's colour, which may be grey, too."""


def draw_fidelity(data: DatasetData) -> list[DrawnFigure]:
    """Draw a panel for each student with the diagonal; the test set and one OOD set."""
    curves, sets = _students(data)
    grid, titles = _layout(data, curves, sets)
    limits = _limits(curves, sets)
    correlations = {label: _correlation(data, label, sets[-1]) for label in curves}
    for axes, (label, arrays), title in zip(grid.axes, curves.items(), titles, strict=True):
        _draw_panel(axes, arrays, sets, data.styles.color(label), limits)
        text = f"ρ {_rounded(correlations[label])}"
        axes.text(0.05, 0.95, text, va="top", transform=axes.transAxes)
        axes.set_title(title)
        set_ticks(axes.xaxis, 2)
        set_ticks(axes.yaxis, 3)
    grid.share_scales()
    unit = data.uncertainty_unit
    grid.label_axes(f"teacher [{unit}] (log)", f"student [{unit}] (log)")
    alt = (
        f"Epistemic uncertainty of students against the teacher's on {' and '.join(sets)} of "
        f"{data.dataset}, with the diagonal."
    )
    finite = {k: {data.seed: v} for k, v in correlations.items() if math.isfinite(v)}
    if best := data.best_student(finite, "higher"):
        value = f"{correlations[best]:.2f}"
        alt += f" Rank correlation on {sets[-1]} is highest for {best} ({value})."
    return [data.finish("fidelity", f"Fidelity to the teacher on {data.dataset}", alt, grid.figure)]


def _students(data: DatasetData) -> tuple[dict[str, Curves], list[str]]:
    """Return the arrays of each student, and the sets that are shown of all of them."""
    students = [label for label in data.labels if label not in data.results.references]
    stored = {label: data.curves(label, data.seed) for label in students}
    stored = {label: arrays for label, arrays in stored.items() if arrays}
    sets = sets_to_show(data.options.sets, stored.values(), "fidelity/")[:2]
    curves = {
        label: arrays
        for label, arrays in stored.items()
        if all(f"fidelity/{name}" in arrays for name in sets)
    }
    if not curves or not sets:
        raise NoData("no pairs of a student's and the teacher's uncertainty")
    return curves, sets


def _layout(
    data: DatasetData, curves: Mapping[str, Curves], sets: Sequence[str]
) -> tuple[PanelGrid, list[str]]:
    """Return the panels and the title of each."""
    columns = even_columns(len(curves), MAX_COLUMNS)
    width = COLUMN if columns <= 3 else PAGE
    side = min(MAX_SIDE, (width - 0.72 - (columns - 1) * 0.1) / columns)
    titles = [wrap(label, side) for label in curves]
    title_height = max(title.count("\n") + 1 for title in titles) * LINE + 0.08
    text = (
        f"epistemic uncertainty of the same examples, at most 500; ρ: Spearman's on {sets[-1]}; "
        "values below the axes' least are on them"
    )
    grid = panel_grid(
        len(curves),
        columns,
        side,
        0.6 + columns * 1.7 if side == MAX_SIDE else width,
        spacing=Spacing(left=0.62, top=title_height, column_gap=0.1, row_gap=title_height + 0.05),
        legend=_legend(sets),
        note=note_of_one_seed(data, text, [*curves, *data.results.references]),
    )
    return grid, titles


def _correlation(data: DatasetData, label: str, set_name: str) -> float:
    """Return the recorded rank correlation with the teacher on a set; nan if there is none."""
    values = values_on_set(data.record(label, data.seed), set_name)
    return values.get("teacher_spearman", math.nan)


def _draw_panel(
    axes: Axes, curves: Curves, sets: Sequence[str], color: str, limits: tuple[float, float]
) -> None:
    low, high = limits
    axes.plot([low, high], [low, high], color=FAINT, linewidth=0.8, zorder=0)
    for name, marker in zip(sets, (RING, DOT) if len(sets) == 2 else (DOT,), strict=True):
        student, teacher = np.clip(curves[f"fidelity/{name}"], low, high)
        axes.plot(
            teacher,
            student,
            linestyle="none",
            markeredgecolor=color if marker is DOT else GREY,
            markerfacecolor=color if marker is DOT else "none",
            rasterized=True,
            **marker,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low / 1.3, high * 1.3)
    axes.set_ylim(low / 1.3, high * 1.3)


def _limits(curves: Mapping[str, Curves], sets: Sequence[str]) -> tuple[float, float]:
    """Return the largest value, and the least one but at most four decades below it."""
    values = np.concatenate(
        [arrays[f"fidelity/{name}"].ravel() for arrays in curves.values() for name in sets]
    )
    high = float(values.max())
    if high <= 0:
        return 1e-4, 1.0
    return max(float(values[values > 0].min()), high * 1e-4), high


def _rounded(value: float) -> str:
    """Return a correlation as text; constants have none."""
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}") if math.isfinite(value) else "–"


def _legend(sets: Sequence[str]) -> list[tuple[Line2D, str]]:
    ring = Line2D(
        [], [], color=GREY, markerfacecolor="none", linestyle="none", marker="o", markersize=3
    )
    dot = Line2D([], [], color=INK, marker=".", linestyle="none", markersize=4)
    last = (dot, f"{sets[-1]}, in the method's colour")
    return [last] if len(sets) == 1 else [(ring, sets[0]), last]
