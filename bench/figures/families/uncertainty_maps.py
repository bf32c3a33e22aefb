"""Maps of the three uncertainties on the plane, all methods side by side."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from distillation_bench.bench.figures.axes import ticks
from distillation_bench.bench.figures.dataset_view import Curves, NoData, View
from distillation_bench.bench.figures.panels import Panels, evenly, panels
from distillation_bench.bench.figures.request import Drawn
from distillation_bench.bench.figures.style import COLUMN, LINE, MAP, PAGE, wrapped
from distillation_bench.bench.metrics.uncertainties import UNCERTAINTIES

if TYPE_CHECKING:
    from matplotlib.image import AxesImage

COLUMNS = 8
"""At most, across a page."""
LEFT, RIGHT, GAP = 0.58, 0.55, 0.05


def maps(view: View) -> list[Drawn]:
    """Blocks of three rows (total, aleatoric, epistemic), a column a method, one colour scale."""
    found = view.of_seed("canvas/x")
    shown = {label: each for label, each in found.items() if _is_grid(each["canvas/x"])}
    if not shown:
        raise NoData("no canvas in the plane")
    labels = list(shown)
    columns = evenly(len(shown), COLUMNS)
    note = view.note_of_seed("uncertainty in nats on one scale; dots are training points", shown)
    page, titles = _layout(labels, columns, note)
    highest = max(
        float(c[f"canvas/{name}"].max()) for c in shown.values() for name in UNCERTAINTIES
    )
    image = None
    for index, axes in enumerate(page.axes):
        row, column = divmod(index, columns)
        place = row // 3 * columns + column
        if place >= len(labels):
            axes.set_visible(False)
            continue
        name = UNCERTAINTIES[row % 3]
        image = _panel(axes, shown[labels[place]], name, highest)
        if row % 3 == 0:
            axes.set_title(titles[place])
        if row % 3 == 2:
            axes.set_xlabel("x₁")
            ticks(axes.xaxis, 4, inner=True)
        else:
            axes.set_xticks([])
        if column == 0:
            axes.set_ylabel(f"{name}\nx₂")
            ticks(axes.yaxis, 4, inner=True)
        else:
            axes.set_yticks([])
    assert image is not None
    _colorbar(page, columns, image)
    means = {label: float(each["canvas/epistemic"].mean()) for label, each in shown.items()}
    most, least = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
    alt = (
        f"Maps of total, aleatoric and epistemic uncertainty on the plane of {view.dataset} for "
        f"{', '.join(labels)}. Mean epistemic uncertainty is largest for {most} "
        f"({means[most]:.3f} nats) and smallest for {least} ({means[least]:.3f} nats)."
    )
    title = f"Uncertainty on the plane of {view.dataset}"
    return [view.drawn("maps", title, alt, page.figure)]


def _layout(labels: list[str], columns: int, note: str) -> tuple[Panels, list[str]]:
    """Panels and titles of the blocks' first rows."""
    width = COLUMN if columns <= 3 else PAGE
    side = (width - LEFT - RIGHT - (max(3, columns) - 1) * GAP) / max(3, columns)
    width = min(width, LEFT + RIGHT + columns * side + (columns - 1) * GAP)
    titles = [wrapped(label, side, lines=4) for label in labels]
    rows = [titles[start : start + columns] for start in range(0, len(titles), columns)]
    tall = [max(text.count("\n") + 1 for text in row) * LINE + 0.08 for row in rows]
    page = panels(
        3 * math.ceil(len(labels) / columns) * columns,
        columns,
        side,
        width,
        left=LEFT,
        right=RIGHT,
        top=tall[0],
        between=(GAP, max(tall) + 0.32),
        group=3,
        note=note,
    )
    return page, titles


def _panel(axes: Axes, curves: Curves, name: str, highest: float) -> AxesImage:
    x = curves["canvas/x"]
    side = len(np.unique(x[:, 0]))
    (left, low), (right, high) = x.min(0), x.max(0)
    image = axes.imshow(
        curves[f"canvas/{name}"].reshape(-1, side),
        cmap=MAP,
        norm=Normalize(0, highest),
        origin="lower",
        extent=(left, right, low, high),
        aspect="auto",
        interpolation="nearest",
    )
    axes.plot(
        *curves["train/x"].T, ".", color="white", markersize=0.6, markeredgewidth=0, alpha=0.6
    )
    return image


def _colorbar(page: Panels, columns: int, image: AxesImage) -> None:
    """Beside the first block, as tall as it is."""
    width = page.figure.get_figwidth()
    top = page.axes[0].get_position().y1
    low = page.axes[2 * columns].get_position().y0
    bar = page.figure.add_axes(((width - RIGHT + 0.08) / width, low, 0.08 / width, top - low))
    page.figure.colorbar(image, cax=bar).set_label("uncertainty [nats]")
    ticks(bar.yaxis, 5)


def _is_grid(x: np.ndarray) -> bool:
    """Whether points [N, 2] are all of a rectangle's, the first coordinate the faster one."""
    if x.ndim != 2 or x.shape[1] != 2:
        return False
    width = len(np.unique(x[:, 0]))
    return len(x) == width * len(np.unique(x[:, 1])) and bool((x[:width, 1] == x[0, 1]).all())
