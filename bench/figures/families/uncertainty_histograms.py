"""Histograms of the three uncertainties on evaluation sets, against the teacher's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from distillation_bench.bench.figures.axes import ticks
from distillation_bench.bench.figures.dataset_view import Curves, NoData, View, sets_of
from distillation_bench.bench.figures.panels import panels
from distillation_bench.bench.figures.request import Drawn
from distillation_bench.bench.figures.style import COLUMN, GREY, PAGE, clean, width_of, wrapped
from distillation_bench.bench.metrics.uncertainties import UNCERTAINTIES

ROW = 0.27
"""Inches a method."""
LABELS = 1.2
"""Inches, at most, of their names."""


def histograms(view: View) -> list[Drawn]:
    """A row a method, a column an uncertainty; a figure for each two sets."""
    every = {label: view.curves(label, view.seed) for label in view.labels}
    every = {label: curves for label, curves in every.items() if curves}
    sets = sets_of(view, every, "histogram/total/")
    return [_figure(view, every, sets[start : start + 2]) for start in range(0, len(sets), 2)]


def _figure(view: View, every: Mapping[str, Curves], sets: Sequence[str]) -> Drawn:
    shown = {k: v for k, v in every.items() if all(f"histogram/total/{s}" in v for s in sets)}
    if not shown:
        raise NoData(f"no histograms of {' and '.join(sets)}")
    names = [wrapped(label, LABELS, lines=2) for label in shown]
    widest = max(width_of(line) for name in names for line in name.split("\n"))
    columns = [(name, key) for key in sets for name in UNCERTAINTIES]
    task_unit = view.unit
    page = panels(
        len(columns),
        len(columns),
        ROW * len(shown) + 0.1,
        COLUMN if len(sets) == 1 else PAGE,
        left=widest + 0.1,
        between=(0.1, 0.3),
        bottom=0.34,
        top=0.32,
        keys=[
            (Patch(color="#C8C8C8"), "teacher"),
            (Patch(facecolor="white", edgecolor=GREY), "student, in its colour"),
        ],
        note=view.note_of_seed(
            "shares of examples in 50 bins, heights are square roots, the largest of a column "
            "fills a row; the last bin holds all larger values; numbers: total variation to the "
            "teacher's, 0 to 1",
            shown,
        ),
    )
    distances: dict[str, list[float]] = {label: [] for label in shown}
    for axes, (name, key) in zip(page.axes, columns, strict=True):
        tallest = max(float(curves[f"histogram/{name}/{key}"].max()) for curves in shown.values())
        for row, (label, curves) in enumerate(shown.items()):
            pair = curves[f"histogram/{name}/{key}"]
            distance = float(np.abs(pair[0] - pair[1]).sum() / 2)
            distances[label].append(distance)
            upper = float(curves[f"upper/{name}/{key}"][0])
            _ridge(axes, len(shown) - 1 - row, pair / tallest, upper, view.look.color(label))
            axes.text(
                # The last bin, which holds all that is larger, is seen beside it.
                0.95,
                len(shown) - 0.3 - row,
                f"{distance:.2f}",
                ha="right",
                va="center",
                transform=axes.get_yaxis_transform(),
            )
        axes.set_xlim(0, upper)
        axes.set_ylim(-0.05, len(shown) + 0.05)
        axes.set_title(f"{clean(key.removeprefix('test/'))}\n{name}")
        axes.spines["left"].set_visible(False)
        axes.set_yticks([])
        axes.set_xlabel(f"[{task_unit}]")
        ticks(axes.xaxis, 2)
    page.axes[0].set_yticks([len(shown) - 0.65 - row for row in range(len(shown))], names)
    page.axes[0].tick_params(axis="y", length=0)
    students = {
        k: float(np.mean(v)) for k, v in distances.items() if k not in view.results.references
    }
    means = students or {label: float(np.mean(values)) for label, values in distances.items()}
    near, far = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
    where = " and ".join(sets)
    alt = (
        f"Histograms of total, aleatoric and epistemic uncertainty on {where} of {view.dataset}, "
        f"over the teacher's. Mean total variation to the teacher's is smallest for {near} "
        f"({means[near]:.2f}) and largest for {far} ({means[far]:.2f})."
    )
    title = f"Uncertainty on {where} of {view.dataset}"
    return view.drawn("histograms", title, alt, page.figure, "-".join(view.options.sets and sets))


def _ridge(axes: Axes, base: float, pair: np.ndarray, upper: float, color: str) -> None:
    """The student's shares as an outline over the teacher's, at a height of 1 for all."""
    edges = np.linspace(0, upper, pair.shape[1] + 1)
    student, teacher = 0.92 * np.sqrt(pair)
    axes.stairs(base + teacher, edges, baseline=base, fill=True, color="#C8C8C8")
    axes.stairs(base + student, edges, baseline=base, color=color, linewidth=0.8)
