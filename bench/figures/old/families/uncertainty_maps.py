"""Maps of the three uncertainties on the plane, labels side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from distillation_bench.bench.figures.old.appearance.axis_scales import set_ticks
from distillation_bench.bench.figures.old.appearance.colors import UNCERTAINTY_COLORMAP
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
from distillation_bench.bench.figures.stored_curves import Curves
from distillation_bench.bench.metrics.uncertainties import UNCERTAINTIES

if TYPE_CHECKING:
    from matplotlib.image import AxesImage

MAX_COLUMNS = 8
ROWS = len(UNCERTAINTIES)
"""Rows of a block of labels."""
LEFT, RIGHT, BETWEEN = 0.58, 0.55, 0.05


def draw_maps(data: DatasetData) -> list[DrawnFigure]:
    """Draw blocks of three rows, one for each uncertainty, a column for each label."""
    stored = data.curves_of_one_seed()
    curves = {k: c for k, c in stored.items() if "canvas/x" in c and _is_grid(c["canvas/x"])}
    if not curves:
        raise NoData("no canvas in the plane")
    labels, columns = list(curves), even_columns(len(curves), MAX_COLUMNS)
    text = "uncertainty in nats on one scale; dots are training points"
    grid, titles = _layout(labels, columns, note_of_one_seed(data, text, curves))
    highest = max(float(c[f"canvas/{u}"].max()) for c in curves.values() for u in UNCERTAINTIES)
    image = None
    for index, axes in enumerate(grid.axes):
        row, column = divmod(index, columns)
        position = row // ROWS * columns + column
        if position >= len(labels):
            axes.set_visible(False)
            continue
        uncertainty = UNCERTAINTIES[row % ROWS]
        image = _draw_map(axes, curves[labels[position]], uncertainty, highest)
        _label_panel(axes, row % ROWS, column, titles[position])
    assert image is not None
    _draw_colorbar(grid, columns, image)
    title = f"Uncertainty on the plane of {data.dataset}"
    return [data.finish("maps", title, _alt_text(data, curves), grid.figure)]


def _alt_text(data: DatasetData, curves: Mapping[str, Curves]) -> str:
    means = {label: float(arrays["canvas/epistemic"].mean()) for label, arrays in curves.items()}
    most, least = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
    return (
        f"Maps of total, aleatoric and epistemic uncertainty on the plane of {data.dataset} for "
        f"{', '.join(curves)}. Mean epistemic uncertainty is largest for {most} "
        f"({means[most]:.3f} nats) and smallest for {least} ({means[least]:.3f} nats)."
    )


def _layout(labels: Sequence[str], columns: int, note: str) -> tuple[PanelGrid, list[str]]:
    """Return the panels, and the titles of the blocks' first rows."""
    width = COLUMN if columns <= 3 else PAGE
    side = (width - LEFT - RIGHT - (max(3, columns) - 1) * BETWEEN) / max(3, columns)
    width = min(width, LEFT + RIGHT + columns * side + (columns - 1) * BETWEEN)
    titles = [wrap(label, side, lines=4) for label in labels]
    blocks = [titles[start : start + columns] for start in range(0, len(titles), columns)]
    heights = [max(title.count("\n") + 1 for title in block) * LINE + 0.08 for block in blocks]
    grid = panel_grid(
        ROWS * math.ceil(len(labels) / columns) * columns,
        columns,
        side,
        width,
        spacing=Spacing(
            left=LEFT,
            right=RIGHT,
            top=heights[0],
            column_gap=BETWEEN,
            row_gap=max(heights) + 0.32,
            rows_of_group=ROWS,
        ),
        note=note,
    )
    return grid, titles


def _draw_map(axes: Axes, curves: Curves, uncertainty: str, highest: float) -> AxesImage:
    x = curves["canvas/x"]
    columns = len(np.unique(x[:, 0]))
    (left, bottom), (right, top) = x.min(0), x.max(0)
    image = axes.imshow(
        curves[f"canvas/{uncertainty}"].reshape(-1, columns),
        cmap=UNCERTAINTY_COLORMAP,
        norm=Normalize(0, highest),
        origin="lower",
        extent=(left, right, bottom, top),
        aspect="auto",
        interpolation="nearest",
    )
    axes.plot(
        *curves["train/x"].T, ".", color="white", markersize=0.6, markeredgewidth=0, alpha=0.6
    )
    return image


def _label_panel(axes: Axes, row: int, column: int, title: str) -> None:
    """Set titles and axis labels by the position within a block."""
    if row == 0:
        axes.set_title(title)
    if row == ROWS - 1:
        axes.set_xlabel("x₁")
        set_ticks(axes.xaxis, 4, without_ends=True)
    else:
        axes.set_xticks([])
    if column == 0:
        axes.set_ylabel(f"{UNCERTAINTIES[row]}\nx₂")
        set_ticks(axes.yaxis, 4, without_ends=True)
    else:
        axes.set_yticks([])


def _draw_colorbar(grid: PanelGrid, columns: int, image: AxesImage) -> None:
    """Draw the colour bar beside the first block, as tall as the block."""
    width = grid.figure.get_figwidth()
    top = grid.axes[0].get_position().y1
    bottom = grid.axes[(ROWS - 1) * columns].get_position().y0
    box = ((width - RIGHT + 0.08) / width, bottom, 0.08 / width, top - bottom)
    bar = grid.figure.add_axes(box)
    grid.figure.colorbar(image, cax=bar).set_label("uncertainty [nats]")
    set_ticks(bar.yaxis, 5)


def _is_grid(x: np.ndarray) -> bool:
    """Return whether points [N, 2] fill a rectangular grid, the first coordinate the faster one."""
    if x.ndim != 2 or x.shape[1] != 2:
        return False
    width = len(np.unique(x[:, 0]))
    return len(x) == width * len(np.unique(x[:, 1])) and bool((x[:width, 1] == x[0, 1]).all())
