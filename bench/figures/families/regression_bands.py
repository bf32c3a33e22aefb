"""Bands of uncertainty around the regression curve, a panel a method."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from distillation_bench.bench.figures.axes import ticks
from distillation_bench.bench.figures.dataset_view import Curves, NoData, View
from distillation_bench.bench.figures.panels import evenly, panels
from distillation_bench.bench.figures.request import Drawn
from distillation_bench.bench.figures.style import COLUMN, GREY, INK, LINE, PAGE, wrapped

COLUMNS = 5
POINTS = 200
"""Of the canvas are enough at print size."""


def bands(view: View) -> list[Drawn]:
    """The mean with two standard deviations of each uncertainty, over the noiseless curve."""
    found = view.of_seed("canvas/mean")
    shown = {label: each for label, each in found.items() if each["canvas/x"].shape[1] == 1}
    if not shown:
        raise NoData("no canvas of a curve")
    columns = min(COLUMNS, len(shown)) if len(shown) > 2 else len(shown)
    columns = evenly(len(shown), columns)
    width = COLUMN if columns <= 2 else PAGE
    titles = [wrapped(label, (width - 0.6) / columns - 0.1) for label in shown]
    tall = max(text.count("\n") + 1 for text in titles) * LINE + 0.06
    page = panels(
        len(shown),
        columns,
        0.95,
        width,
        top=tall,
        between=(0.1, tall + 0.08),
        keys=_keys(),
        note=view.note_of_seed(
            "bands are two standard deviations (√ of the variances); wider than the frame, they "
            "are cut",
            shown,
        ),
    )
    page.share()
    page.name_axes("x", "y")
    low, high = _limits(shown)
    for axes, (label, curves), title in zip(page.axes, shown.items(), titles, strict=True):
        _panel(axes, curves, view.look.color(label))
        axes.set_ylim(low, high)
        axes.set_title(title)
        for axis in (axes.xaxis, axes.yaxis):
            ticks(axis)
    page.share()
    spread = {label: _outside(each) for label, each in shown.items()}
    most = max(spread, key=spread.__getitem__)
    alt = (
        f"Predictive mean with bands of uncertainty on {view.dataset} for {', '.join(shown)}, "
        f"with the noiseless curve and the training points. Beyond the training points the mean "
        f"epistemic standard deviation is largest for {most} ({spread[most]:.3g})."
    )
    title = f"Uncertainty around the curve of {view.dataset}"
    return [view.drawn("bands", title, alt, page.figure)]


def _panel(axes: Axes, curves: Curves, color: str) -> None:
    some = slice(None, None, max(1, len(curves["canvas/x"]) // POINTS))
    x, mean = curves["canvas/x"][some, 0], curves["canvas/mean"][some]

    def deviation(name: str) -> np.ndarray:
        return 2 * np.sqrt(np.maximum(curves[f"canvas/{name}"][some], 0))

    total, epistemic = deviation("total"), deviation("epistemic")
    axes.fill_between(x, mean - total, mean + total, color=color, alpha=0.2, linewidth=0)
    axes.fill_between(x, mean - epistemic, mean + epistemic, color=color, alpha=0.5, linewidth=0)
    aleatoric = deviation("aleatoric")
    for side in (-1, 1):
        axes.plot(x, mean + side * aleatoric, color=color, linewidth=0.6, dashes=(1.5, 1.5))
    axes.plot(curves["train/x"][:, 0], curves["train/y"], ".", color=GREY, markersize=1.2)
    axes.plot(x, curves["canvas/y"][some], color=INK, linewidth=0.8, dashes=(4, 1.5))
    axes.plot(x, mean, color=color)
    axes.set_xlim(x[0], x[-1])


def _keys() -> list[tuple[Patch | Line2D, str]]:
    """In grey: colours are the methods'."""
    return [
        (Line2D([], [], color=GREY), "mean"),
        (Patch(color=GREY, alpha=0.5, linewidth=0), "± 2 epistemic"),
        (Line2D([], [], color=GREY, linewidth=0.6, dashes=(1.5, 1.5)), "± 2 aleatoric"),
        (Patch(color=GREY, alpha=0.2, linewidth=0), "± 2 total"),
        (Line2D([], [], color=INK, linewidth=0.8, dashes=(4, 1.5)), "without noise"),
        (Line2D([], [], color=GREY, marker=".", linestyle="none", markersize=3), "training points"),
    ]


def _limits(shown: dict[str, Curves]) -> tuple[float, float]:
    """Of y: the curve and the points, with room for bands; what is wider is cut by the frame."""
    some = next(iter(shown.values()))
    values = np.concatenate([some["canvas/y"], some["train/y"]])
    room = 0.35 * float(np.ptp(values))
    return float(values.min()) - room, float(values.max()) + room


def _outside(curves: Curves) -> float:
    x, known = curves["canvas/x"][:, 0], curves["train/x"][:, 0]
    beyond = (x < known.min()) | (x > known.max())
    return (
        float(np.sqrt(np.maximum(curves["canvas/epistemic"][beyond], 0)).mean())
        if beyond.any()
        else 0.0
    )
