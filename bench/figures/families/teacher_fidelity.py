"""Fidelity: the student's epistemic uncertainty against the teacher's, example by example."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from distillation_bench.bench.figures.axes import ticks
from distillation_bench.bench.figures.dataset_view import Curves, NoData, View, figures_on, sets_of
from distillation_bench.bench.figures.panels import evenly, panels
from distillation_bench.bench.figures.request import Drawn
from distillation_bench.bench.figures.style import COLUMN, FAINT, GREY, INK, LINE, PAGE, wrapped

COLUMNS = 6
HOLLOW: dict[str, Any] = {"marker": "o", "markersize": 2.4, "markeredgewidth": 0.3, "alpha": 0.6}
FULL: dict[str, Any] = {"marker": ".", "markersize": 1.8, "markeredgewidth": 0}
"""A grey ring and a dot: a method's colour may be grey, too."""


def fidelity(view: View) -> list[Drawn]:
    """A panel a student, with the diagonal; the test set and one of OOD inputs."""
    every = {
        label: view.curves(label, view.seed)
        for label in view.labels
        if label not in view.results.references
    }
    every = {label: curves for label, curves in every.items() if curves}
    sets = sets_of(view, every, "fidelity/")[:2]
    shown = {k: v for k, v in every.items() if all(f"fidelity/{each}" in v for each in sets)}
    if not shown or not sets:
        raise NoData("no pairs of a student's and the teacher's uncertainty")
    columns = evenly(len(shown), COLUMNS)
    width = COLUMN if columns <= 3 else PAGE
    side = min(1.6, (width - 0.72 - (columns - 1) * 0.1) / columns)
    titles = [wrapped(label, side) for label in shown]
    tall = max(text.count("\n") + 1 for text in titles) * LINE + 0.08
    page = panels(
        len(shown),
        columns,
        side,
        0.6 + columns * 1.7 if side == 1.6 else width,
        between=(0.1, tall + 0.05),
        top=tall,
        left=0.62,
        keys=_keys(sets),
        note=view.note_of_seed(
            f"epistemic uncertainty of the same examples, at most 500; ρ: Spearman's on "
            f"{sets[-1]}; values below the axes' least are on them",
            [*shown, *view.results.references],
        ),
    )
    low, high = _limits(shown, sets)
    agreement: dict[str, float] = {}
    for axes, (label, curves), title in zip(page.axes, shown.items(), titles, strict=True):
        _panel(axes, curves, sets, view.look.color(label), low, high)
        figure = figures_on(view.record(label, view.seed), sets[-1]).get(
            "teacher_spearman", math.nan
        )
        agreement[label] = figure
        axes.text(0.05, 0.95, f"ρ {_rounded(figure)}", va="top", transform=axes.transAxes)
        axes.set_title(title)
        ticks(axes.xaxis, 2)
        ticks(axes.yaxis, 3)
    page.share()
    page.name_axes(f"teacher [{view.unit}] (log)", f"student [{view.unit}] (log)")
    finite = {k: {view.seed: v} for k, v in agreement.items() if math.isfinite(v)}
    best = view.best(finite, "higher")
    alt = (
        f"Epistemic uncertainty of students against the teacher's on {' and '.join(sets)} of "
        f"{view.dataset}, with the diagonal."
        + (
            f" Rank correlation on {sets[-1]} is highest for {best} ({agreement[best]:.2f})."
            if best
            else ""
        )
    )
    return [view.drawn("fidelity", f"Fidelity to the teacher on {view.dataset}", alt, page.figure)]


def _panel(
    axes: Axes, curves: Curves, sets: list[str], color: str, low: float, high: float
) -> None:
    axes.plot([low, high], [low, high], color=FAINT, linewidth=0.8, zorder=0)
    for key, look in zip(sets, (HOLLOW, FULL) if len(sets) == 2 else (FULL,), strict=True):
        student, teacher = np.clip(curves[f"fidelity/{key}"], low, high)
        axes.plot(
            teacher,
            student,
            linestyle="none",
            markeredgecolor=color if look is FULL else GREY,
            markerfacecolor=color if look is FULL else "none",
            rasterized=True,
            **look,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low / 1.3, high * 1.3)
    axes.set_ylim(low / 1.3, high * 1.3)


def _limits(shown: dict[str, Curves], sets: list[str]) -> tuple[float, float]:
    """The largest value, and four decades below it or the least one."""
    values = np.concatenate(
        [curves[f"fidelity/{key}"].ravel() for curves in shown.values() for key in sets]
    )
    high = float(values.max())
    if high <= 0:
        return 1e-4, 1.0
    return max(float(values[values > 0].min()), high * 1e-4), high


def _rounded(value: float) -> str:
    """With a true minus; of constants there is no rank correlation."""
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}") if math.isfinite(value) else "–"


def _keys(sets: list[str]) -> list[tuple[Line2D, str]]:
    ring = Line2D(
        [], [], color=GREY, markerfacecolor="none", linestyle="none", marker="o", markersize=3
    )
    dot = Line2D([], [], color=INK, marker=".", linestyle="none", markersize=4)
    full = (dot, f"{sets[-1]}, in the method's colour")
    return [full] if len(sets) == 1 else [(ring, sets[0]), full]
