"""Bands of uncertainty around the regression curve, a panel for each label."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from distillation_bench.bench.figures.old.appearance.axis_scales import set_ticks
from distillation_bench.bench.figures.old.appearance.colors import GREY, INK
from distillation_bench.bench.figures.old.appearance.layout import (
    NoData,
    Spacing,
    even_columns,
    panel_grid,
)
from distillation_bench.bench.figures.old.appearance.style import COLUMN, LINE, PAGE
from distillation_bench.bench.figures.old.appearance.text_fit import wrap
from distillation_bench.bench.figures.old.dataset_data import DatasetData
from distillation_bench.bench.figures.old.figure_types import DrawnFigure
from distillation_bench.bench.figures.old.notes import note_of_one_seed
from distillation_bench.bench.figures.stored_curves import Curves

MAX_COLUMNS = 5
MAX_POINTS = 200
"""Points of the curve that are enough at print size."""


def draw_bands(data: DatasetData) -> list[DrawnFigure]:
    """Draw the mean with two standard deviations of each uncertainty, over the noiseless curve."""
    stored = data.curves_of_one_seed()
    curves = {k: c for k, c in stored.items() if "canvas/mean" in c and _is_curve(c)}
    if not curves:
        raise NoData("no canvas of a curve")
    columns = even_columns(len(curves), MAX_COLUMNS if len(curves) > 2 else len(curves))
    width = COLUMN if columns <= 2 else PAGE
    titles = [wrap(label, (width - 0.6) / columns - 0.1) for label in curves]
    title_height = max(title.count("\n") + 1 for title in titles) * LINE + 0.06
    text = "bands are two standard deviations (√ of the variances); wider than the frame, they "
    grid = panel_grid(
        len(curves),
        columns,
        0.95,
        width,
        spacing=Spacing(top=title_height, column_gap=0.1, row_gap=title_height + 0.08),
        legend=_legend(),
        note=note_of_one_seed(data, f"{text}are cut", curves),
    )
    grid.label_axes("x", "y")
    low, high = _limits(next(iter(curves.values())))
    for axes, (label, arrays), title in zip(grid.axes, curves.items(), titles, strict=True):
        _draw_panel(axes, arrays, data.styles.color(label))
        axes.set_ylim(low, high)
        axes.set_title(title)
        set_ticks(axes.xaxis)
        set_ticks(axes.yaxis)
    grid.share_scales()
    title = f"Uncertainty around the curve of {data.dataset}"
    return [data.finish("bands", title, _alt_text(data, curves), grid.figure)]


def _is_curve(curves: Curves) -> bool:
    return bool(curves["canvas/x"].shape[1] == 1)


def _alt_text(data: DatasetData, curves: Mapping[str, Curves]) -> str:
    deviations = {label: _deviation_outside(arrays) for label, arrays in curves.items()}
    largest = max(deviations, key=deviations.__getitem__)
    return (
        f"Predictive mean with bands of uncertainty on {data.dataset} for {', '.join(curves)}, "
        f"with the noiseless curve and the training points. Beyond the training points the mean "
        f"epistemic standard deviation is largest for {largest} ({deviations[largest]:.3g})."
    )


def _draw_panel(axes: Axes, curves: Curves, color: str) -> None:
    shown = slice(None, None, max(1, len(curves["canvas/x"]) // MAX_POINTS))
    x, mean = curves["canvas/x"][shown, 0], curves["canvas/mean"][shown]

    def deviation(name: str) -> np.ndarray:
        return 2 * np.sqrt(np.maximum(curves[f"canvas/{name}"][shown], 0))

    total, epistemic = deviation("total"), deviation("epistemic")
    axes.fill_between(x, mean - total, mean + total, color=color, alpha=0.2, linewidth=0)
    axes.fill_between(x, mean - epistemic, mean + epistemic, color=color, alpha=0.5, linewidth=0)
    aleatoric = deviation("aleatoric")
    for side in (-1, 1):
        axes.plot(x, mean + side * aleatoric, color=color, linewidth=0.6, dashes=(1.5, 1.5))
    axes.plot(curves["train/x"][:, 0], curves["train/y"], ".", color=GREY, markersize=1.2)
    axes.plot(x, curves["canvas/y"][shown], color=INK, linewidth=0.8, dashes=(4, 1.5))
    axes.plot(x, mean, color=color)
    axes.set_xlim(x[0], x[-1])


def _legend() -> list[tuple[Patch | Line2D, str]]:
    """Return entries in grey, since the panels are in the colours of their labels."""
    return [
        (Line2D([], [], color=GREY), "mean"),
        (Patch(color=GREY, alpha=0.5, linewidth=0), "± 2 epistemic"),
        (Line2D([], [], color=GREY, linewidth=0.6, dashes=(1.5, 1.5)), "± 2 aleatoric"),
        (Patch(color=GREY, alpha=0.2, linewidth=0), "± 2 total"),
        (Line2D([], [], color=INK, linewidth=0.8, dashes=(4, 1.5)), "without noise"),
        (Line2D([], [], color=GREY, marker=".", linestyle="none", markersize=3), "training points"),
    ]


def _limits(curves: Curves) -> tuple[float, float]:
    """Return limits of y for the curve and the points with a margin for bands."""
    values = np.concatenate([curves["canvas/y"], curves["train/y"]])
    margin = 0.35 * float(np.ptp(values))
    return float(values.min()) - margin, float(values.max()) + margin


def _deviation_outside(curves: Curves) -> float:
    """Return the mean epistemic standard deviation beyond the training points; 0 if none is."""
    x, train = curves["canvas/x"][:, 0], curves["train/x"][:, 0]
    outside = (x < train.min()) | (x > train.max())
    if not outside.any():
        return 0.0
    return float(np.sqrt(np.maximum(curves["canvas/epistemic"][outside], 0)).mean())
