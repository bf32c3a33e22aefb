"""Critical-difference diagram: average ranks over datasets, and which of them do not differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from matplotlib.axes import Axes

from distillation_bench.bench.analysis.comparison import Comparison, compare
from distillation_bench.bench.analysis.comparison.pairs import AcrossDatasets
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.figures.figure_data import FigureData
from distillation_bench.bench.figures.panels import Drawing, Panels
from distillation_bench.bench.figures.registry import NoData, figure
from distillation_bench.bench.figures.style import GREY, INK
from distillation_bench.bench.figures.text_fit import text_width, wrap

LABEL_WIDTH = 1.5
ROW_HEIGHT, BAR_HEIGHT = 0.16, 0.07
"""Inches of a label and of a bar that joins labels."""
AXIS = -0.3
"""Height of the axis of ranks; 0 is the top, in inches."""


@figure("ranks", "critical-difference diagram of average ranks", "at least 5 datasets", True)
def draw_ranks(data: FigureData) -> Iterator[Drawing]:
    """Draw a diagram for each metric."""
    for name in data.options.metrics or ("nll",):
        labels = data.labels if data.options.labels else ()
        try:
            comparison = compare(data.results, name, "", data.options.datasets, labels)
        except UsageError as error:
            raise NoData(str(error)) from None
        yield _draw(data, comparison)


def _draw(data: FigureData, comparison: Comparison) -> Drawing:
    across, metric = comparison.across, comparison.metric
    left_out = ", ".join(comparison.below_chance)
    why = f". Left out, where the teacher itself detects worse than chance: {left_out}"
    end = why if left_out else ""
    if across is None:
        raise NoData(f"{comparison.no_across}{end}")
    names = [wrap(label, LABEL_WIDTH, 1) for label in across.ranks["label"]]
    side = max(map(text_width, names)) + 0.5
    height = 0.4 + BAR_HEIGHT * len(across.groups) + ROW_HEIGHT * ((len(names) + 1) // 2)
    panels = Panels(data, 1, width=2 * side + 1.0, height=height)
    _draw_diagram(panels.axes[0], data, across, names, (side, panels.width, height))
    ranks = across.ranks.itertuples(index=False)
    count = len(across.seeds)
    incomplete = "".join(f". {label}: {why}" for label, why in comparison.incomplete.items())
    return panels.finish(
        f"Average ranks by {metric}",
        f"Critical-difference diagram of {metric} over {count} datasets: "
        + ", ".join(f"{label} {rank:.2f}" for label, rank in ranks)
        + f"; critical difference {across.critical_difference:.2f}.",
        f"Average ranks of {comparison.format.name} over N = {count} datasets, 1 is best; bars "
        "join methods that are not statistically distinguishable by Nemenyi's test at .05; "
        f"Friedman's p = {across.friedman:.3g}{incomplete}{end}.",
        part=str(metric) if data.options.metrics else "",
    )


def _draw_diagram(
    axes: Axes,
    data: FigureData,
    across: AcrossDatasets,
    names: list[str],
    size: tuple[float, float, float],
) -> None:
    """Draw the axis of ranks with labels on both sides of it; y is in inches below the top."""
    side, width, height = size
    count, line = len(names), dict[str, Any](color=INK, linewidth=0.7)
    # The labels are within the axes, so that the layout leaves room for them.
    margin = side * (count - 1) / (width - 0.1 - 2 * side)
    axes.set_axis_off()
    axes.set(xlim=(1 - margin, count + margin), ylim=(-height, 0))
    axes.plot([1, count], [AXIS, AXIS], **line)
    for tick in range(1, count + 1):
        axes.plot([tick, tick], [AXIS, AXIS + 0.04], **line)
        axes.text(tick, AXIS + 0.05, str(tick), ha="center", va="bottom")
    end = 1 + min(across.critical_difference, count - 1)
    axes.plot([1, end], [-0.06, -0.06], color=INK, linewidth=1.2)
    axes.text(end, -0.06, f"  CD {across.critical_difference:.2f}", va="center")
    for position, (label, rank) in enumerate(across.ranks.itertuples(index=False)):
        is_left = position < (count + 1) // 2
        row = position if is_left else count - 1 - position
        y = AXIS - 0.12 - BAR_HEIGHT * len(across.groups) - ROW_HEIGHT * row
        edge = 1 - 0.15 * margin if is_left else count + 0.15 * margin
        color = data.styles[label].color
        axes.plot([rank, rank, edge], [AXIS, y, y], color=color, linewidth=0.8)
        name = names[position]
        text = f"{name} {rank:.2f} " if is_left else f" {rank:.2f} {name}"
        axes.text(edge, y, text, ha="right" if is_left else "left", va="center")
    ranks = dict(across.ranks.itertuples(index=False))
    for index, group in enumerate(across.groups):
        y = AXIS - 0.06 - BAR_HEIGHT * index
        axes.plot([ranks[group[0]], ranks[group[-1]]], [y, y], color=GREY, linewidth=2.2)
