"""Critical-difference diagram: average ranks over datasets, and which of them do not differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from matplotlib.axes import Axes

from distillation_bench.bench.analysis.old_comparison.across_datasets import AcrossDatasets
from distillation_bench.bench.analysis.old_comparison.method_comparison import Comparison, compare
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.figures.old.appearance.colors import GREY, INK
from distillation_bench.bench.figures.old.appearance.layout import (
    NoData,
    PanelGrid,
    Spacing,
    panel_grid,
)
from distillation_bench.bench.figures.old.appearance.style import COLUMN, PAGE, LabelStyles
from distillation_bench.bench.figures.old.appearance.text_fit import text_width, wrap
from distillation_bench.bench.figures.old.dataset_data import file_name
from distillation_bench.bench.figures.old.figure_types import DrawnFigure
from distillation_bench.bench.figures.old.run_data import RunData

LABEL_WIDTH = 1.6
ROW_HEIGHT, BAR_HEIGHT = 0.16, 0.07
"""Inches of a label and of a bar that joins labels."""
AXIS = -0.3
"""Height of the axis of ranks; 0 is the top, in inches."""


def draw_ranks(run: RunData) -> list[DrawnFigure]:
    """Draw a diagram for each metric."""
    return [_draw(run, name) for name in run.options.metrics or ("nll",)]


def _draw(run: RunData, name: str) -> DrawnFigure:
    labels = run.labels if run.options.labels else ()
    try:
        comparison = compare(run.results, name, "", run.options.datasets, labels)
    except UsageError as error:
        raise NoData(str(error)) from None
    across = comparison.across
    if across is None:
        raise NoData(f"{comparison.no_across}{_left_out(comparison)}")
    diagram = _Diagram(across)
    grid = _layout(diagram, comparison, across)
    diagram.draw(grid.axes[0], run.styles)
    ranks = zip(across.labels, across.ranks, strict=True)
    alt = (
        f"Critical-difference diagram of {comparison.metric} over {len(across.seeds)} datasets: "
        + ", ".join(f"{label} {rank:.2f}" for label, rank in ranks)
        + f"; critical difference {across.critical_difference:.2f}."
    )
    part = str(comparison.metric) if run.options.metrics else ""
    title = f"Average ranks by {comparison.metric}"
    return DrawnFigure(file_name("ranks", part), title, alt, grid.figure)


def _layout(diagram: _Diagram, comparison: Comparison, across: AcrossDatasets) -> PanelGrid:
    width = diagram.label_width
    incomplete = "".join(f". {label}: {why}" for label, why in comparison.incomplete.items())
    return panel_grid(
        1,
        1,
        diagram.height,
        COLUMN if width < 1.2 else PAGE,
        spacing=Spacing(left=width, right=width, bottom=0.05, top=0.1),
        note=(
            f"Average ranks of {comparison.metric} over N = {len(across.seeds)} datasets, 1 is "
            "best; bars join methods that are not statistically distinguishable by Nemenyi's test "
            "at .05; Friedman's p = "
            f"{across.friedman:.3g}{incomplete}{_left_out(comparison)}."
        ),
    )


@dataclass(frozen=True)
class _Diagram:
    """The axis of ranks with labels on both sides of it; y is in inches below the top."""

    across: AcrossDatasets

    @cached_property
    def names(self) -> Sequence[str]:
        return [wrap(label, LABEL_WIDTH, 1) for label in self.across.labels]

    @property
    def count(self) -> int:
        return len(self.across.labels)

    @property
    def on_left(self) -> int:
        """Number of labels at the left, those with the best ranks."""
        return (self.count + 1) // 2

    @property
    def label_width(self) -> float:
        return max(map(text_width, self.names)) + 0.55

    @property
    def height(self) -> float:
        return 0.45 + BAR_HEIGHT * len(self.across.groups) + ROW_HEIGHT * self.on_left

    def draw(self, axes: Axes, styles: LabelStyles) -> None:
        axes.set_axis_off()
        axes.set_xlim(1, self.count)
        axes.set_ylim(-self.height, 0)
        self._draw_axis(axes)
        self._draw_critical_difference(axes)
        for position in range(self.count):
            self._draw_label(axes, styles, position)
        ranks = dict(zip(self.across.labels, self.across.ranks, strict=True))
        for index, group in enumerate(self.across.groups):
            y = AXIS - 0.06 - BAR_HEIGHT * index
            ends = [ranks[group[0]], ranks[group[-1]]]
            axes.plot(ends, [y, y], color=GREY, linewidth=2.2, clip_on=False)

    def _draw_axis(self, axes: Axes) -> None:
        axes.plot([1, self.count], [AXIS, AXIS], color=INK, linewidth=0.7, clip_on=False)
        for tick in range(1, self.count + 1):
            axes.plot([tick, tick], [AXIS, -0.26], color=INK, linewidth=0.7, clip_on=False)
            axes.text(tick, -0.25, str(tick), ha="center", va="bottom")

    def _draw_critical_difference(self, axes: Axes) -> None:
        difference = self.across.critical_difference
        end = 1 + min(difference, float(self.count - 1))
        axes.plot([1, end], [-0.06, -0.06], color=INK, linewidth=1.2, clip_on=False)
        axes.text(end, -0.06, f"  CD {difference:.2f}", va="center")

    def _draw_label(self, axes: Axes, styles: LabelStyles, position: int) -> None:
        label, rank = self.across.labels[position], self.across.ranks[position]
        is_left = position < self.on_left
        row = position if is_left else self.count - 1 - position
        y = -0.42 - BAR_HEIGHT * len(self.across.groups) - ROW_HEIGHT * row
        overhang = (self.count - 1) * 0.06
        end = 1.0 - overhang if is_left else self.count + overhang
        line = axes.plot([rank, rank, end], [AXIS, y, y], linewidth=0.8, clip_on=False)
        line[0].set_color(styles.color(label))
        name = self.names[position]
        text = f"{name} {rank:.2f} " if is_left else f" {rank:.2f} {name}"
        axes.text(end, y, text, ha="right" if is_left else "left", va="center")


def _left_out(comparison: Comparison) -> str:
    """Return which datasets are left out, to follow another sentence; empty if none are."""
    names = ", ".join(comparison.below_chance)
    why = "where the teacher itself detects worse than chance"
    return f". Left out, {why}: {names}" if names else ""
