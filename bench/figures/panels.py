"""Equal panels with a legend and a note below them.

Not by matplotlib's layout engines: those take longer than all the drawing, and differ with what is
drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from distillation_bench.bench.figures.style import (
    COLUMN,
    GREY,
    LINE,
    MARGIN,
    PAGE,
    SIZE,
    width_of,
    wrapped,
)

TALLEST = 100.0
"""Inches; what is as tall is no figure for a paper, and far from what a PNG may have."""


class NoData(Exception):
    """Why there is no figure, in a few words."""


def evenly(count: int, most: int) -> int:
    """Columns, at most so many, that fill rows evenly."""
    return math.ceil(count / math.ceil(count / most))


@dataclass(frozen=True)
class Panels:
    """A figure and its axes, row by row."""

    figure: Figure
    axes: list[Axes]
    columns: int

    def is_left(self, index: int) -> bool:
        """Whether it is the first of a row."""
        return index % self.columns == 0

    def is_bottom(self, index: int) -> bool:
        """Whether there is none below."""
        return index + self.columns >= len(self.axes)

    def share(self, x: bool = True, y: bool = True) -> None:
        """One scale for all: numbers at the left and at the bottom alone."""
        for index, each in enumerate(self.axes):
            each.tick_params(labelleft=not y or self.is_left(index))
            each.tick_params(labelbottom=not x or self.is_bottom(index))

    def name_axes(self, x: str, y: str, every: bool = False) -> None:
        """Names at the left and at the bottom."""
        for index, each in enumerate(self.axes):
            if self.is_bottom(index) or every:
                each.set_xlabel(x)
            if self.is_left(index) or every:
                each.set_ylabel(y)


Keys = Sequence[tuple[Artist, str]]


def panels(
    count: int,
    columns: int,
    height: float,
    width: float = 0.0,
    *,
    left: float = 0.45,
    right: float = 0.08,
    top: float = 0.2,
    bottom: float = 0.36,
    between: tuple[float, float] = (0.12, 0.3),
    group: int = 1,
    keys: Keys = (),
    note: str = "",
) -> Panels:
    """Lay out equal axes, a legend below them and a note below that.

    Args:
        count, columns: of the axes.
        height: of one of them; width: of the figure, else one column for up to two of them.
        left, right, top, bottom: around all axes.
        between: columns, and groups of rows; within a group rows are as close as columns.
        group: rows of a group.
        keys: of the legend.
        note: what must be said: the dataset, n, what is missing.

    Raises:
        NoData: there is too much.
    """
    width = width or (COLUMN if columns <= 2 else PAGE)
    rows = math.ceil(count / columns)
    footer = _footer(width, keys, note)
    tops = [0.0]
    for row in range(1, rows):
        tops.append(tops[-1] + height + between[int(row % group == 0)])
    total = top + tops[-1] + height + bottom + footer.height
    if total > TALLEST:
        raise NoData(f"{total:.0f} inches tall: choose fewer with -d, -m, --metric or --on")
    each = (width - left - right - (columns - 1) * between[0]) / columns
    figure = Figure(figsize=(width, total))
    FigureCanvasAgg(figure)
    axes = []
    for index in range(count):
        row, column = divmod(index, columns)
        x = left + column * (each + between[0])
        y = total - top - tops[row] - height
        axes.append(figure.add_axes((x / width, y / total, each / width, height / total)))
    footer.draw(figure)
    return Panels(figure, axes, columns)


NOTE = "note"


def note_of(figure: Figure) -> str:
    """The note below a figure, on one line; empty if it has none."""
    notes = [text.get_text() for text in figure.texts if text.get_gid() == NOTE]
    return " ".join(" ".join(notes).split())


@dataclass(frozen=True)
class _Footer:
    width: float
    keys: Keys
    columns: int
    legend_height: float
    lines: Sequence[str]

    @property
    def height(self) -> float:
        return self.legend_height + len(self.lines) * LINE + 0.04

    def draw(self, figure: Figure) -> None:
        total = figure.get_figheight()
        note_height = len(self.lines) * LINE + 0.03
        if self.keys:
            figure.legend(
                [handle for handle, _ in self.keys],
                [text for _, text in self.keys],
                loc="upper left",
                bbox_to_anchor=(0.04 / self.width, (note_height + self.legend_height) / total),
                ncols=self.columns,
                frameon=False,
                borderpad=0.0,
                borderaxespad=0.0,
                labelspacing=0.25,
                handlelength=2.4,
                columnspacing=1.2,
                handletextpad=0.5,
            )
        if self.lines:
            place = (0.06 / self.width, (note_height - 0.02) / total)
            text = figure.text(*place, "\n".join(self.lines), va="top", color=GREY)
            text.set_linespacing(LINE * 72 / SIZE / 1.17)
            text.set_gid(NOTE)


def _footer(width: float, keys: Keys, note: str) -> _Footer:
    room = width - 0.12
    handle = 0.42
    shown = [(artist, wrapped(text, room - handle)) for artist, text in keys]
    widest = max((width_of(line) for _, text in shown for line in text.split("\n")), default=0.0)
    columns = max(1, min(len(shown), int(room / (widest + handle))))
    rows = math.ceil(len(shown) / columns) if shown else 0
    tallest = max((text.count("\n") + 1 for _, text in shown), default=0)
    lines = wrapped(note, room / MARGIN, lines=6).split("\n") if note else []
    return _Footer(width, shown, columns, rows * tallest * LINE + 0.05 if shown else 0.0, lines)
