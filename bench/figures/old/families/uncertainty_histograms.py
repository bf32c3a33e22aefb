"""Histograms of the three uncertainties on evaluation sets, over the teacher's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from distillation_bench.bench.figures.old.appearance.axis_scales import set_ticks
from distillation_bench.bench.figures.old.appearance.colors import GREY
from distillation_bench.bench.figures.old.appearance.layout import (
    NoData,
    PanelGrid,
    Spacing,
    panel_grid,
)
from distillation_bench.bench.figures.old.appearance.style import COLUMN, PAGE
from distillation_bench.bench.figures.old.appearance.text_fit import drawable, text_width, wrap
from distillation_bench.bench.figures.old.dataset_data import DatasetData
from distillation_bench.bench.figures.old.figure_types import DrawnFigure
from distillation_bench.bench.figures.old.notes import note_of_one_seed
from distillation_bench.bench.figures.stored_curves import Curves, sets_to_show
from distillation_bench.bench.metrics.uncertainties import UNCERTAINTIES

ROW_HEIGHT = 0.27
LABEL_WIDTH = 1.2
"""Inches of a label's row, and of its name at most."""
TEACHER_COLOR = "#C8C8C8"

Panel = tuple[str, str]
"""An uncertainty and an evaluation set."""


def draw_histograms(data: DatasetData) -> list[DrawnFigure]:
    """Draw a row for each label, a column for each uncertainty; a figure for each two sets."""
    curves = data.curves_of_one_seed()
    sets = sets_to_show(data.options.sets, curves.values(), "histogram/total/")
    return [_draw(data, curves, sets[start : start + 2]) for start in range(0, len(sets), 2)]


def _draw(data: DatasetData, stored: Mapping[str, Curves], sets: Sequence[str]) -> DrawnFigure:
    curves = {k: c for k, c in stored.items() if all(f"histogram/total/{s}" in c for s in sets)}
    if not curves:
        raise NoData(f"no histograms of {' and '.join(sets)}")
    panels = [(uncertainty, name) for name in sets for uncertainty in UNCERTAINTIES]
    names = [wrap(label, LABEL_WIDTH, lines=2) for label in curves]
    grid = _layout(data, list(curves), names, len(panels))
    for axes, panel in zip(grid.axes, panels, strict=True):
        _draw_panel(axes, data, curves, panel)
    grid.axes[0].set_yticks([len(curves) - 0.65 - row for row in range(len(curves))], names)
    grid.axes[0].tick_params(axis="y", length=0)
    subject = " and ".join(sets)
    alt = (
        f"Histograms of total, aleatoric and epistemic uncertainty on {subject} of "
        f"{data.dataset}, over the teacher's. {_nearest_and_farthest(data, curves, panels)}"
    )
    title = f"Uncertainty on {subject} of {data.dataset}"
    part = "-".join(data.options.sets and sets)
    return data.finish("histograms", title, alt, grid.figure, part)


def _layout(
    data: DatasetData, labels: Sequence[str], names: Sequence[str], count: int
) -> PanelGrid:
    widest = max(text_width(line) for name in names for line in name.split("\n"))
    text = (
        "shares of examples in 50 bins, heights are square roots, the largest of a column fills a "
        "row; the last bin holds all larger values; numbers: total variation to the teacher's, "
        "0 to 1"
    )
    return panel_grid(
        count,
        count,
        ROW_HEIGHT * len(labels) + 0.1,
        COLUMN if count == len(UNCERTAINTIES) else PAGE,
        spacing=Spacing(left=widest + 0.1, bottom=0.34, top=0.32, column_gap=0.1, row_gap=0.3),
        legend=[
            (Patch(color=TEACHER_COLOR), "teacher"),
            (Patch(facecolor="white", edgecolor=GREY), "student, in its colour"),
        ],
        note=note_of_one_seed(data, text, labels),
    )


def _draw_panel(axes: Axes, data: DatasetData, curves: Mapping[str, Curves], panel: Panel) -> None:
    uncertainty, set_name = panel
    key = f"{uncertainty}/{set_name}"
    tallest = max(float(arrays[f"histogram/{key}"].max()) for arrays in curves.values())
    upper = 0.0
    for row, (label, arrays) in enumerate(curves.items()):
        shares, upper = arrays[f"histogram/{key}"], float(arrays[f"upper/{key}"][0])
        base, color = len(curves) - 1 - row, data.styles.color(label)
        _draw_ridge(axes, base, shares / tallest, upper, color)
        axes.text(
            # Left of the last bin, which holds all larger values and must stay visible.
            0.95,
            len(curves) - 0.3 - row,
            f"{_total_variation(shares):.2f}",
            ha="right",
            va="center",
            transform=axes.get_yaxis_transform(),
        )
    axes.set_xlim(0, upper)
    axes.set_ylim(-0.05, len(curves) + 0.05)
    axes.set_title(f"{drawable(set_name.removeprefix('test/'))}\n{uncertainty}")
    axes.spines["left"].set_visible(False)
    axes.set_yticks([])
    axes.set_xlabel(f"[{data.uncertainty_unit}]")
    set_ticks(axes.xaxis, 2)


def _draw_ridge(axes: Axes, base: float, shares: np.ndarray, upper: float, color: str) -> None:
    """Draw the student's shares as an outline over the teacher's; shares [2, bins] up to 1."""
    edges = np.linspace(0, upper, shares.shape[1] + 1)
    student, teacher = 0.92 * np.sqrt(shares)
    axes.stairs(base + teacher, edges, baseline=base, fill=True, color=TEACHER_COLOR)
    axes.stairs(base + student, edges, baseline=base, color=color, linewidth=0.8)


def _total_variation(shares: np.ndarray) -> float:
    """Return the total variation between two histograms [2, bins], 0 to 1."""
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def _nearest_and_farthest(
    data: DatasetData, curves: Mapping[str, Curves], panels: Sequence[Panel]
) -> str:
    """Return which student is nearest to the teacher on average, and which is farthest."""
    means = {
        label: float(
            np.mean([_total_variation(arrays[f"histogram/{u}/{name}"]) for u, name in panels])
        )
        for label, arrays in curves.items()
    }
    students = {k: mean for k, mean in means.items() if k not in data.results.references}
    means = students or means
    near, far = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
    return (
        f"Mean total variation to the teacher's is smallest for {near} ({means[near]:.2f}) and "
        f"largest for {far} ({means[far]:.2f})."
    )
