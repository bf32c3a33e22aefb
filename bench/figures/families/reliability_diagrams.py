"""Reliability diagrams: accuracy against confidence, over the numbers of examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from distillation_bench.bench.figures.axis_scales import set_ticks
from distillation_bench.bench.figures.figure_data import FigureData
from distillation_bench.bench.figures.panels import Drawing, LegendEntries, Panels
from distillation_bench.bench.figures.registry import NoData, figure
from distillation_bench.bench.figures.shown_metrics import describe_best
from distillation_bench.bench.figures.style import DIM, FAINT, GREY

FEW = 20
"""With fewer examples the standard error of an accuracy may be above .1."""
FADED = 0.25
BARS = 0.3
"""Height of the bars below the diagram, of which that is 1."""
LINE: dict[str, Any] = {"marker": "o", "markersize": 2.2}


@figure("reliability", "accuracy against confidence (--on), with counts", "classes")
def draw_reliability(data: FigureData) -> Iterator[Drawing]:
    """Draw a figure for each set: a panel for each label, examples of all seeds in 15 bins."""
    for name in data.sets or ("test",):
        yield _draw(data, name)


def _draw(data: FigureData, name: str) -> Drawing:
    cells = data.arrays_of_seeds(f"reliability/{name}")
    if cells.empty:
        raise NoData(f"no reliability on {name}: it needs classes")
    groups = cells.groupby("label", observed=True)["array"]
    bins = {str(label): np.stack([*arrays]) for label, arrays in groups}
    most = max(float(array[:, 0].sum(0).max()) for array in bins.values())
    metric = data.results.metric(f"ece@{name.removeprefix('test/')}")
    values = data.values(metric)
    ece = data.shown(metric, values[values["id"].isin(cells["id"])])
    texts = {label: ece.text(mean) for label, mean in ece.means["mean"].items()}
    panels = Panels(data, len(bins), width=1.05, height=1.65, most=6, sharex=True, sharey=True)
    for axes, (label, array) in zip(panels, bins.items(), strict=True):
        _draw_panel(axes, array, data.styles[label].color, most)
        panels.title(axes, label)
        axes.set_title(f"{axes.get_title()}\nECE {texts.get(label, '–')}")
    panels.label("confidence", "accuracy")
    has_range = max(map(len, bins.values())) > 1
    return panels.finish(
        f"Reliability on {name} of {data.dataset}",
        f"Reliability diagrams on {name} of {data.dataset} for {', '.join(bins)}: accuracy against "
        f"confidence, over the numbers of examples.{describe_best([ece])}",
        data.note(
            {label: len(array) for label, array in bins.items()},
            f"on {name}, examples of all seeds in 15 bins of confidence",
            f"bars: examples on a logarithmic scale, at most {most:,.0f}",
            f"pale: bins with fewer than {FEW}",
            "band: range of the seeds; ECE: mean over seeds" if has_range else "",
        ),
        _legend(has_range),
        name if data.sets else "",
    )


def _draw_panel(axes: Axes, bins: np.ndarray, color: str, most: float) -> None:
    """Draw the bins [S, 3, 15] of S seeds, pooled by their numbers of examples."""
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, zorder=0)
    counts = bins[:, 0].sum(0)
    edges = np.linspace(0, 1, len(counts) + 1)
    heights = BARS * np.log1p(counts) / np.log1p(most)
    axes.stairs(heights - BARS, edges, baseline=-BARS, fill=True, color=DIM)
    axes.axhline(0, color=FAINT, linewidth=0.5)
    filled = counts > 0
    seeds, has_many = bins[:, :, filled], counts[filled] >= FEW
    weights = seeds[:, 0] / counts[filled]
    confidence, accuracy = (np.nansum(weights * seeds[:, row], 0) for row in (1, 2))
    if len(bins) > 1:
        of_seeds = np.where(seeds[:, 0] > 0, seeds[:, 2], np.nan)
        ends = np.stack([np.nanmin(of_seeds, 0), np.nanmax(of_seeds, 0)])
        low, high = np.where((seeds[:, 0] > 0).sum(0) > 1, ends, np.nan)
        axes.fill_between(confidence, low, high, color=color, alpha=0.1, linewidth=0)
        axes.fill_between(confidence, low, high, has_many, color=color, alpha=0.15, lw=0)
    line = LINE | {"color": color, "linewidth": 0.8, "clip_on": False}
    axes.plot(confidence, accuracy, alpha=FADED, **line)
    axes.plot(confidence, np.where(has_many, accuracy, np.nan), **line)
    axes.set(xlim=(0, 1), ylim=(-BARS, 1.02))
    set_ticks(axes.xaxis, 2)
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])


def _legend(has_range: bool) -> LegendEntries:
    entries: LegendEntries = [
        (Line2D([], [], color=GREY, **LINE), f"at least {FEW} examples"),
        (Line2D([], [], color=GREY, alpha=FADED, **LINE), "fewer"),
        (Patch(color=DIM), "examples by bin (log)"),
        (Patch(color=GREY, alpha=0.25, linewidth=0), "range of seeds"),
    ]
    return entries if has_range else entries[:-1]
