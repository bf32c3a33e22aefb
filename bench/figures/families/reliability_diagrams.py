"""Reliability diagrams: accuracy against confidence, over the numbers of examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from distillation_bench.bench.figures.axis_scales import set_ticks
from distillation_bench.bench.figures.figure_data import FigureData, seed_means, with_unit
from distillation_bench.bench.figures.panels import Drawing, Panels
from distillation_bench.bench.figures.registry import NoData, figure
from distillation_bench.bench.figures.stored_curves import set_name, with_arrays
from distillation_bench.bench.figures.style import DIM, FAINT, GREY, LabelStyle

FEW = 20
"""With fewer examples the standard error of an accuracy may be above .1."""
FADED = 0.25
BARS = 0.3
"""Height of the bars below the diagram, of which that is 1."""


@figure("reliability", "accuracy against confidence (--on), with counts", "classes")
def draw_reliability(data: FigureData) -> Iterator[Drawing]:
    """Draw a figure for each set: a panel for each label, examples of all seeds in 15 bins."""
    for selector in data.options.sets or ("test",):
        yield _draw(data, set_name(selector))


def _draw(data: FigureData, name: str) -> Drawing:
    seeds = data.array_of_seeds(f"reliability/{name}")
    if not seeds:
        raise NoData(f"no reliability on {name}: it needs classes")
    bins = {label: np.array([*seeds[label].values()]) for label in data.labels if label in seeds}
    most = max(float(array[:, 0].sum(0).max()) for array in bins.values())
    metric = data.results.metric(f"ece@{name.removeprefix('test/')}")
    shown, values = data.printed_values(metric)
    eces = seed_means(with_arrays(values, seeds))
    texts = {label: with_unit(shown, mean) for label, mean in eces["mean"].items()}
    panels = Panels(data, len(bins), width=1.05, height=1.65, most=6, sharex=True, sharey=True)
    for axes, (label, array) in zip(panels, bins.items(), strict=True):
        _draw_panel(axes, array, data.styles[label], most)
        panels.title(axes, label)
        axes.set_title(f"{axes.get_title()}\nECE {texts.get(label, '–')}")
    panels.label("confidence", "accuracy")
    counts = {label: len(array) for label, array in bins.items()}
    text = (
        f"on {name}, examples of all seeds in 15 bins of confidence; bars: examples on a "
        f"logarithmic scale, at most {most:,.0f}; pale: bins with fewer than {FEW}"
    )
    if max(counts.values()) > 1:
        text += "; band: range of the seeds; ECE: mean over seeds"
    alt = f"Reliability diagrams on {name} of {data.dataset} for {', '.join(bins)}: accuracy "
    alt += "against confidence, over the numbers of examples."
    if best := data.best_student(eces, "lower"):
        alt += f" The smallest mean ECE of a student is that of {best} ({texts[best]})."
    title, part = f"Reliability on {name} of {data.dataset}", name if data.options.sets else ""
    return panels.finish(title, alt, data.note(text, counts), _legend(counts), part)


def _draw_panel(axes: Axes, bins: np.ndarray, style: LabelStyle, most: float) -> None:
    """Draw the bins [S, 3, 15] of S seeds, pooled by their numbers of examples."""
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, zorder=0)
    counts = bins[:, 0].sum(0)
    edges = np.linspace(0, 1, len(counts) + 1)
    heights = BARS * np.log1p(counts) / np.log1p(most)
    axes.stairs(heights - BARS, edges, baseline=-BARS, fill=True, color=DIM)
    axes.axhline(0, color=FAINT, linewidth=0.5)
    filled = counts > 0
    seeds = bins[:, :, filled]
    weights = seeds[:, 0] / counts[filled]
    confidence, accuracy = (np.nansum(weights * seeds[:, row], 0) for row in (1, 2))
    has_many = counts[filled] >= FEW
    if len(bins) > 1:
        of_seeds = np.where(seeds[:, 0] > 0, seeds[:, 2], np.nan)
        low, high = np.where((seeds[:, 0] > 0).sum(0) > 1, _range(of_seeds), np.nan)
        axes.fill_between(confidence, low, high, color=style.color, alpha=0.1, linewidth=0)
        axes.fill_between(confidence, low, high, has_many, color=style.color, alpha=0.15, lw=0)
    line: dict[str, Any] = {
        "color": style.color,
        "linewidth": 0.8,
        "markersize": 2.2,
        "marker": "o",
    }
    axes.plot(confidence, accuracy, alpha=FADED, clip_on=False, **line)
    axes.plot(confidence, np.where(has_many, accuracy, np.nan), clip_on=False, **line)
    axes.set_xlim(0, 1)
    axes.set_ylim(-BARS, 1.02)
    set_ticks(axes.xaxis, 2)
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])


def _range(accuracies: np.ndarray) -> np.ndarray:
    """Return the least and the largest accuracy [2, bins] of seeds [S, bins] that have one."""
    return np.stack([np.nanmin(accuracies, 0), np.nanmax(accuracies, 0)])


def _legend(counts: Mapping[str, int]) -> list[tuple[Artist, str]]:
    entries: list[tuple[Artist, str]] = [
        (Line2D([], [], color=GREY, marker="o", markersize=2.2), f"at least {FEW} examples"),
        (Line2D([], [], color=GREY, marker="o", markersize=2.2, alpha=FADED), "fewer"),
        (Patch(color=DIM), "examples by bin (log)"),
        (Patch(color=GREY, alpha=0.25, linewidth=0), "range of seeds"),
    ]
    return entries if max(counts.values()) > 1 else entries[:-1]
