"""Maps of the three uncertainties on the plane, labels side by side."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm

from distillation_bench.bench.figures.axis_scales import set_ticks
from distillation_bench.bench.figures.figure_data import FigureData
from distillation_bench.bench.figures.panels import Drawing, Panels
from distillation_bench.bench.figures.registry import NoData, figure
from distillation_bench.bench.figures.stored_arrays import Arrays
from distillation_bench.bench.figures.style import (
    UNCERTAINTY_COLORMAP,
    even_columns,
    page_widths,
)
from distillation_bench.bench.figures.text_fit import wrap
from distillation_bench.bench.metrics.uncertainties import UNCERTAINTIES

MAX_COLUMNS, LEAST_SIDE, MAX_HEIGHT = 8, 0.72, 1.8
ROWS = len(UNCERTAINTIES)
"""Rows of a block of labels."""
SIDES = 0.95
"""Inches beside the maps of a row, for ticks and the colour bar."""
MARGIN = 0.25
"""Share of the training points' range that is shown around them."""
MAX_POINTS = 150
HIGHEST_QUANTILE = 0.998

Window = Sequence[tuple[float, float]]
"""Limits of x₁ and x₂."""


@figure(
    "maps",
    "total, aleatoric and epistemic uncertainty on the plane, methods side by side",
    "a dataset in the plane, such as spiral",
)
def draw_maps(data: FigureData) -> Drawing:
    """Draw blocks of three rows, one for each uncertainty, a column for each label."""
    stored = data.arrays_of_one_seed()
    curves = {k: c for k, c in stored.items() if "canvas/x" in c and _is_grid(c["canvas/x"])}
    if not curves:
        raise NoData("no canvas in the plane")
    window = _window(curves.values())
    ends = {u: _highest(curves, u, window) for u in UNCERTAINTIES}
    panels, positions, side = _layout(data, [*curves])
    for index, (label, arrays) in enumerate(curves.items()):
        block, column = divmod(index, panels.columns)
        rows = positions[block * ROWS : (block + 1) * ROWS, column]
        for axes, uncertainty in zip(rows, UNCERTAINTIES, strict=True):
            _draw_map(axes, arrays, uncertainty, ends[uncertainty], window)
            is_lowest = axes is rows[-1]
            axes.tick_params(left=not column, bottom=is_lowest, labelbottom=is_lowest)
            axes.set_ylabel("" if column else f"{uncertainty}\nx₂")
        rows[0].set_title(wrap(label, side))
        rows[-1].set_xlabel("x₁")
        _draw_points(rows[0], arrays)
    for row in positions[:ROWS]:
        _draw_colorbar(panels, row, data.uncertainty_unit)
    text = (
        "each uncertainty has a scale of its own, the epistemic one that of square roots; dots in "
        f"maps of the total: training points, at most {MAX_POINTS}, around which the plane is cut"
    )
    title = f"Uncertainty on the plane of {data.dataset}"
    note = data.note_of_one_seed(text, curves)
    return panels.finish(title, _alt_text(data, curves, window), note)


def _layout(data: FigureData, labels: Sequence[str]) -> tuple[Panels, np.ndarray, float]:
    """Return the panels, their axes [rows, columns] without those of no label, and their width."""
    count = len(labels)
    narrow, wide = page_widths(data.options.width)
    columns = even_columns(count, min(MAX_COLUMNS, (wide - SIDES) / LEAST_SIDE))
    width = narrow if columns * LEAST_SIDE <= narrow - SIDES else wide
    side = (width - SIDES) / columns
    blocks = -(-count // columns)
    lines = max(wrap(label, side).count("\n") + 1 for label in labels)
    panels = Panels(
        data,
        blocks * ROWS * columns,
        columns=columns,
        width=width / columns,
        height=min(side, MAX_HEIGHT) + 0.08 + (0.3 + 0.12 * lines) / ROWS,
        sharex=True,
        sharey=True,
    )
    positions = np.array(panels.axes).reshape(-1, columns)
    for axes in positions[-ROWS:, (count - 1) % columns + 1 :].ravel():
        axes.remove()
    panels.axes = [axes for axes in panels.axes if axes.figure]
    return panels, positions, side


def _window(curves: Collection[Arrays]) -> Window:
    """Return the part of the canvas that is shown: the training points and a margin."""
    points, canvas = (np.concatenate([c[f"{of}/x"] for c in curves]) for of in ("train", "canvas"))
    margin = MARGIN * np.ptp(points, 0)
    low = np.maximum(points.min(0) - margin, canvas.min(0))
    return [*zip(low, np.minimum(points.max(0) + margin, canvas.max(0)), strict=True)]


def _is_shown(curves: Arrays, window: Window) -> np.ndarray:
    low, high = np.transpose(window)
    shown: np.ndarray = ((curves["canvas/x"] >= low) & (curves["canvas/x"] <= high)).all(1)
    return shown


def _highest(curves: Mapping[str, Arrays], uncertainty: str, window: Window) -> float:
    """Return the end of the scale of an uncertainty; few values of any label are beyond it."""
    shown = [c[f"canvas/{uncertainty}"][_is_shown(c, window)] for c in curves.values()]
    return max(float(np.quantile(values, HIGHEST_QUANTILE)) for values in shown if len(values))


def _draw_map(axes: Axes, curves: Arrays, uncertainty: str, highest: float, window: Window) -> None:
    x = curves["canvas/x"]
    shape = [len(np.unique(x[:, axis])) for axis in (1, 0)]
    low, high = x.min(0), x.max(0)
    # Points of the grid are centres of cells.
    half = (high - low) / (2 * np.maximum(np.array(shape[::-1]) - 1, 1))
    extent = np.stack([low - half, high + half], 1).ravel()
    axes.imshow(
        curves[f"canvas/{uncertainty}"].reshape(shape),
        cmap=UNCERTAINTY_COLORMAP,
        norm=PowerNorm(0.5 if uncertainty == "epistemic" else 1.0, 0, highest or 1.0),
        origin="lower",
        extent=tuple(extent),
        aspect="auto",
        interpolation="nearest",
    )
    for axis, ends in zip("xy", window, strict=True):
        getattr(axes, f"set_{axis}lim")(ends)
        set_ticks(getattr(axes, f"{axis}axis"), 3)


def _draw_points(axes: Axes, curves: Arrays) -> None:
    points = curves["train/x"][:: -(-len(curves["train/x"]) // MAX_POINTS)]
    axes.plot(*points.T, ".", color="w", markersize=1.2, markeredgewidth=0, alpha=0.6)


def _draw_colorbar(panels: Panels, row: np.ndarray, unit: str) -> None:
    """Draw the colour bar of a row of maps; it serves all maps of the uncertainty."""
    axes = [axes for axes in row if axes.figure]
    bar = panels.figure.colorbar(axes[0].images[0], ax=axes, extend="max", aspect=12, pad=0.02)
    bar.outline.set_visible(False)
    bar.set_label(f"[{unit}]")
    set_ticks(bar.ax.yaxis, 3)


def _alt_text(data: FigureData, curves: Mapping[str, Arrays], window: Window) -> str:
    means = {
        label: float(arrays["canvas/epistemic"][_is_shown(arrays, window)].mean())
        for label, arrays in curves.items()
    }
    unit = data.uncertainty_unit
    most, least = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
    return (
        f"Maps of total, aleatoric and epistemic uncertainty on the plane of {data.dataset} for "
        f"{', '.join(curves)}. Mean epistemic uncertainty is largest for {most} "
        f"({means[most]:.3f} {unit}) and smallest for {least} ({means[least]:.3f} {unit})."
    )


def _is_grid(x: np.ndarray) -> bool:
    """Return whether points [N, 2] fill a rectangular grid, the first coordinate the faster one."""
    if x.ndim != 2 or x.shape[1] != 2:
        return False
    width = len(np.unique(x[:, 0]))
    return len(x) == width * len(np.unique(x[:, 1])) and bool((x[:width, 1] == x[0, 1]).all())
