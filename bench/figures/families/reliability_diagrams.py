"""Reliability diagrams: is what a method is sure of right so often?"""

from __future__ import annotations

from statistics import fmean

import numpy as np
from matplotlib.axes import Axes

from distillation_bench.bench.figures.axes import ticks
from distillation_bench.bench.figures.dataset_view import NoData, View, curve_key, figures_on
from distillation_bench.bench.figures.panels import evenly, panels
from distillation_bench.bench.figures.request import Drawn
from distillation_bench.bench.figures.style import COLUMN, FAINT, LINE, PAGE, Style, wrapped

COLUMNS = 6


def reliability(view: View) -> list[Drawn]:
    """A panel a method: accuracy against confidence in 15 bins, all seeds' examples together."""
    sets = [curve_key(each) for each in view.options.sets or ("test",)]
    return [_figure(view, key) for key in sets]


def _figure(view: View, key: str) -> Drawn:
    name = f"reliability/{key}"
    shown = view.of_seeds(name)
    if not shown:
        raise NoData(f"no reliability on {key}: it needs classes")
    columns = evenly(len(shown), COLUMNS)
    width = COLUMN if columns <= 3 else PAGE
    side = (width - 0.55 - (columns - 1) * 0.1) / columns
    side = min(side, 1.6)
    titles = [wrapped(label, side) for label in shown]
    tall = max(text.count("\n") + 2 for text in titles) * LINE + 0.08
    counts = {label: len(each) for label, each in shown.items()}
    page = panels(
        len(shown),
        columns,
        side,
        width if side < 1.6 else 0.55 + columns * 1.7,
        between=(0.1, tall + 0.05),
        top=tall,
        note=view.note(
            f"on {key}, all seeds' examples in 15 bins of confidence; area of dots: share of "
            "examples; ECE: mean over seeds",
            counts,
        ),
    )
    found = {
        label: {
            seed: ece
            for seed in seeds
            if (ece := figures_on(view.record(label, seed), key).get("ece")) is not None
        }
        for label, seeds in shown.items()
    }
    found = {label: each for label, each in found.items() if each}
    errors = {label: f"{100 * fmean(each.values()):.2f} %" for label, each in found.items()}
    for axes, (label, seeds), title in zip(page.axes, shown.items(), titles, strict=True):
        _panel(axes, np.array([each[name] for each in seeds.values()]), view.look[label])
        axes.set_title(f"{title}\nECE {errors.get(label, '–')}")
        for axis in (axes.xaxis, axes.yaxis):
            ticks(axis, 2)
    page.share()
    page.name_axes("confidence", "accuracy")
    best = view.best(found, "lower")
    alt = (
        f"Reliability diagrams on {key} of {view.dataset} for {', '.join(shown)}: accuracy "
        f"against confidence."
        + (f" The smallest mean ECE of a student has {best} ({errors[best]})." if best else "")
    )
    title = f"Reliability on {key} of {view.dataset}"
    return view.drawn("reliability", title, alt, page.figure, key if view.options.sets else "")


def _panel(axes: Axes, bins: np.ndarray, style: Style) -> None:
    """Of seeds' bins [S, 3, 15]: pooled, each seed with its number of examples."""
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, zorder=0)
    counts = bins[:, 0]
    full = counts.sum(0) > 0
    weights = counts[:, full] / counts[:, full].sum(0)
    confidence = np.nansum(weights * bins[:, 1][:, full], 0)
    accuracy = np.nansum(weights * bins[:, 2][:, full], 0)
    share = counts.sum(0)[full] / counts.sum()
    axes.plot(confidence, accuracy, color=style.color, linewidth=0.8)
    axes.scatter(
        confidence, accuracy, s=2 + 40 * share, color=style.color, linewidths=0, clip_on=False
    )
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
