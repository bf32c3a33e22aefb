"""Bands of uncertainty around the regression curve, a panel for each label."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from distillation_bench.bench.figures.axis_scales import set_ticks
from distillation_bench.bench.figures.figure_data import FigureData
from distillation_bench.bench.figures.panels import Drawing, LegendEntries, Panels
from distillation_bench.bench.figures.registry import NoData, figure
from distillation_bench.bench.figures.stored_arrays import Arrays, points_of_passes
from distillation_bench.bench.figures.style import GREY, INK, mix

MAX_POINTS = 250
"""Points of the curve that are enough at print size."""
THIN, DOTTED, DASHED = 0.35, (0, (1.5, 1.5)), (0, (4, 1.5))


@figure(
    "bands",
    "bands of the three uncertainties around the regression curve, and single functions",
    "a dataset with a curve, such as sine",
)
def draw_bands(data: FigureData) -> Drawing:
    """Draw the mean with two standard deviations of each uncertainty, over the noiseless curve."""
    stored = data.arrays_of_one_seed()
    curves = {k: c for k, c in stored.items() if "canvas/mean" in c and c["canvas/x"].shape[1] == 1}
    if not curves:
        raise NoData("no canvas of a curve")
    panels = Panels(data, len(curves), width=1.3, height=1.2, most=5, sharex=True, sharey=True)
    limits = _limits(curves.values())
    for axes, (label, arrays) in zip(panels, curves.items(), strict=True):
        _draw_panel(axes, arrays, data.styles[label].color)
        axes.set_ylim(limits)
        set_ticks(axes.xaxis)
        set_ticks(axes.yaxis)
        panels.title(axes, label)
    panels.label("x", "y")
    passes = [len(_passes(arrays)) for arrays in curves.values()]
    text = "bands are two standard deviations (√ of the variances); all is cut at the frame"
    if any(passes):
        text += f"; thin lines are up to {max(passes)} heads, members, or passes with one mask or "
        text += "one sample of the weights each"
    title = f"Uncertainty around the curve of {data.dataset}"
    note = data.note_of_one_seed(text, curves)
    return panels.finish(title, _alt_text(data, curves), note, _legend(any(passes)))


def _draw_panel(axes: Axes, curves: Arrays, color: str) -> None:
    shown = slice(None, None, max(1, len(curves["canvas/x"]) // MAX_POINTS))
    x, mean = curves["canvas/x"][shown, 0], curves["canvas/mean"][shown]

    axes.plot(curves["train/x"][:, 0], curves["train/y"], ".", color=GREY, markersize=1.0)
    axes.fill_between(x, *_band(curves, "total")[:, shown], color=color, alpha=0.15, linewidth=0)
    axes.fill_between(x, *_band(curves, "epistemic")[:, shown], color=color, alpha=0.3, linewidth=0)
    for side in _band(curves, "aleatoric")[:, shown]:
        axes.plot(x, side, color=color, linewidth=0.6, linestyle=DOTTED)
    if len(functions := _passes(curves)):
        at = curves["canvas/x"][points_of_passes(curves), 0]
        axes.plot(at, functions.T, color=mix(color, -0.35), linewidth=THIN)
    axes.plot(x, curves["canvas/y"][shown], color=INK, linewidth=0.8, linestyle=DASHED)
    axes.plot(x, mean, color=color)
    axes.set_xlim(x[0], x[-1])


def _band(curves: Arrays, name: str) -> np.ndarray:
    """Return the lower and the upper end [2, N] of two standard deviations around the mean."""
    half = 2 * np.sqrt(np.maximum(curves[f"canvas/{name}"], 0))
    ends: np.ndarray = curves["canvas/mean"] + np.stack([-half, half])
    return ends


def _passes(curves: Arrays) -> np.ndarray:
    """Return the functions [S, n] that are drawn; none for a single one, which is the mean."""
    passes = curves.get("canvas/passes", np.empty((0, 0)))
    return passes if len(passes) > 1 else passes[:0]


def _legend(has_passes: bool) -> LegendEntries:
    """Return entries in grey, since the panels are in the colours of their labels."""
    entries: LegendEntries = [
        (Line2D([], [], color=GREY), "mean"),
        (Patch(color=GREY, alpha=0.45, linewidth=0), "± 2 epistemic"),
        (Line2D([], [], color=GREY, linewidth=0.6, linestyle=DOTTED), "± 2 aleatoric"),
        (Patch(color=GREY, alpha=0.15, linewidth=0), "± 2 total"),
        (Line2D([], [], color=INK, linewidth=0.8, linestyle=DASHED), "without noise"),
        (Line2D([], [], color=GREY, marker=".", linestyle="none"), "training points"),
    ]
    return [*entries, (Line2D([], [], color=INK, linewidth=THIN), "one function")][: 6 + has_passes]


def _limits(curves: Collection[Arrays]) -> tuple[float, float]:
    """Return limits of y for all bands, but at most 1.5 times the training points' range beyond."""
    points = np.concatenate([arrays["train/y"] for arrays in curves])
    low, high, margin = points.min(), points.max(), 1.5 * (np.ptp(points) or 1.0)
    bands = np.concatenate([_band(arrays, "total") for arrays in curves], 1)
    bands = bands.clip(low - margin, high + margin)
    return float(min(low, bands.min())), float(max(high, bands.max()))


def _alt_text(data: FigureData, curves: dict[str, Arrays]) -> str:
    deviations = {label: _deviation_outside(arrays) for label, arrays in curves.items()}
    largest = max(deviations, key=deviations.__getitem__)
    return (
        f"Predictive mean with bands of uncertainty on {data.dataset} for {', '.join(curves)}, "
        f"with the noiseless curve and the training points. Beyond the training points the mean "
        f"epistemic standard deviation is largest for {largest} ({deviations[largest]:.3g})."
    )


def _deviation_outside(curves: Arrays) -> float:
    """Return the mean epistemic standard deviation beyond the training points; 0 if none is."""
    x, train = curves["canvas/x"][:, 0], curves["train/x"][:, 0]
    outside = (x < train.min()) | (x > train.max())
    if not outside.any():
        return 0.0
    return float(np.sqrt(np.maximum(curves["canvas/epistemic"][outside], 0)).mean())
