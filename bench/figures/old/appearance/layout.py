"""A grid of equal panels with a legend and a note below it.

It is laid out here and not by an engine of matplotlib: those take longer than all the drawing, and
their result depends on what is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from distillation_bench.bench.figures.old.appearance.colors import GREY
from distillation_bench.bench.figures.old.appearance.style import COLUMN, FONT_SIZE, LINE, PAGE
from distillation_bench.bench.figures.old.appearance.text_fit import MARGIN, text_width, wrap
from distillation_bench.bench.figures.registry import NoData as NoData

MAX_HEIGHT = 100.0
"""Inches; a taller figure fits no paper, and a PNG has a largest size."""
_NOTE_ID = "note"

LegendEntries = Sequence[tuple[Artist, str]]


def even_columns(count: int, maximum: int) -> int:
    """Return a number of columns, at most the maximum, with which all rows are about as full."""
    return math.ceil(count / math.ceil(count / maximum))


@dataclass(frozen=True)
class PanelGrid:
    """A figure with the axes of its panels, row by row."""

    figure: Figure
    axes: list[Axes]
    columns: int

    def is_left(self, index: int) -> bool:
        """Return whether a panel is the first of its row."""
        return index % self.columns == 0

    def is_bottom(self, index: int) -> bool:
        """Return whether there is no panel below."""
        return index + self.columns >= len(self.axes)

    def share_scales(self, x: bool = True, y: bool = True) -> None:
        """Show the numbers of shared scales at the left and at the bottom only."""
        for index, axes in enumerate(self.axes):
            axes.tick_params(labelleft=not y or self.is_left(index))
            axes.tick_params(labelbottom=not x or self.is_bottom(index))

    def label_axes(self, x: str, y: str) -> None:
        """Label the axes at the left and at the bottom."""
        for index, axes in enumerate(self.axes):
            if self.is_bottom(index):
                axes.set_xlabel(x)
            if self.is_left(index):
                axes.set_ylabel(y)


@dataclass(frozen=True)
class Spacing:
    """Space around and between panels, in inches.

    Attributes:
        left, right, top, bottom: around all panels.
        column_gap: between columns, and between rows of a group.
        row_gap: between groups of rows.
        rows_of_group: number of rows in a group.
    """

    left: float = 0.45
    right: float = 0.08
    top: float = 0.2
    bottom: float = 0.36
    column_gap: float = 0.12
    row_gap: float = 0.3
    rows_of_group: int = 1

    def row_offsets(self, rows: int, height: float) -> list[float]:
        """Return the distance of each row's top from that of the first row."""
        offsets = [0.0]
        for row in range(1, rows):
            gap = self.column_gap if row % self.rows_of_group else self.row_gap
            offsets.append(offsets[-1] + height + gap)
        return offsets


DEFAULT_SPACING = Spacing()


def panel_grid(
    count: int,
    columns: int,
    height: float,
    width: float = 0.0,
    *,
    spacing: Spacing = DEFAULT_SPACING,
    legend: LegendEntries = (),
    note: str = "",
) -> PanelGrid:
    """Lay out equal panels, a legend below them and a note below that. Sizes are in inches.

    Args:
        count, columns: number of panels and of columns.
        height: height of a panel.
        width: width of the figure; by default one column of a paper for up to two columns.
        spacing: space around and between panels.
        legend: entries of the legend.
        note: what must be said: the dataset, n, what is missing.

    Raises:
        NoData: the figure would be too tall.
    """
    width = width or (COLUMN if columns <= 2 else PAGE)
    footer = _footer(width, legend, note)
    offsets = spacing.row_offsets(math.ceil(count / columns), height)
    total = spacing.top + offsets[-1] + height + spacing.bottom + footer.height
    if total > MAX_HEIGHT:
        raise NoData(f"{total:.0f} inches tall: choose fewer with -d, -m, --metric or --on")
    figure = Figure(figsize=(width, total))
    FigureCanvasAgg(figure)
    tops = [total - spacing.top - offset for offset in offsets]
    footer.draw(figure)
    return PanelGrid(figure, _add_panels(figure, count, columns, tops, height, spacing), columns)


def _add_panels(
    figure: Figure,
    count: int,
    columns: int,
    tops: Sequence[float],
    height: float,
    spacing: Spacing,
) -> list[Axes]:
    """Add panels of one height row by row; `tops` are the upper ends of the rows."""
    width, total = figure.get_size_inches()
    gaps = (columns - 1) * spacing.column_gap
    panel_width = (width - spacing.left - spacing.right - gaps) / columns
    panels = []
    for index in range(count):
        row, column = divmod(index, columns)
        x = spacing.left + column * (panel_width + spacing.column_gap)
        y = tops[row] - height
        box = (x / width, y / total, panel_width / width, height / total)
        panels.append(figure.add_axes(box))
    return panels


def note_of(figure: Figure) -> str:
    """Return the note below a figure, on one line; empty if it has none."""
    notes = [text.get_text() for text in figure.texts if text.get_gid() == _NOTE_ID]
    return " ".join(" ".join(notes).split())


@dataclass(frozen=True)
class _Footer:
    """The legend and the note below all panels."""

    width: float
    legend: LegendEntries
    legend_columns: int
    legend_height: float
    note: Sequence[str]

    @property
    def height(self) -> float:
        return self.legend_height + len(self.note) * LINE + 0.04

    def draw(self, figure: Figure) -> None:
        total = figure.get_figheight()
        note_height = len(self.note) * LINE + 0.03
        if self.legend:
            figure.legend(
                [handle for handle, _ in self.legend],
                [text for _, text in self.legend],
                loc="upper left",
                bbox_to_anchor=(0.04 / self.width, (note_height + self.legend_height) / total),
                ncols=self.legend_columns,
                frameon=False,
                borderpad=0.0,
                borderaxespad=0.0,
                labelspacing=0.25,
                handlelength=2.4,
                columnspacing=1.2,
                handletextpad=0.5,
            )
        if self.note:
            x, y = 0.06 / self.width, (note_height - 0.02) / total
            text = figure.text(x, y, "\n".join(self.note), va="top", color=GREY)
            text.set_linespacing(LINE * 72 / FONT_SIZE / 1.17)
            text.set_gid(_NOTE_ID)


def _footer(width: float, legend: LegendEntries, note: str) -> _Footer:
    available, handle_width = width - 0.12, 0.42
    entries = [(handle, wrap(text, available - handle_width)) for handle, text in legend]
    texts = [text for _, text in entries]
    widest = max((text_width(line) for text in texts for line in text.split("\n")), default=0.0)
    columns = max(1, min(len(entries), int(available / (widest + handle_width))))
    rows = math.ceil(len(entries) / columns) if entries else 0
    lines_of_entry = max((text.count("\n") + 1 for text in texts), default=0)
    legend_height = rows * lines_of_entry * LINE + 0.05 if entries else 0.0
    lines = wrap(note, available / MARGIN, lines=6).split("\n") if note else []
    return _Footer(width, entries, columns, legend_height, lines)
