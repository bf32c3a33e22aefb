"""Equal panels with a legend and a note below them, laid out once by matplotlib."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import matplotlib as mpl
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import ScaledTranslation

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.figures.axis_scales import (
    ANY,
    CUT,
    AxisName,
    Limits,
    set_limits,
    set_ticks,
)
from distillation_bench.bench.figures.registry import NoData
from distillation_bench.bench.figures.style import FONT_SIZE, GREY, even_columns, page_widths
from distillation_bench.bench.figures.text_fit import text_width, wrap

if TYPE_CHECKING:
    from distillation_bench.bench.figures.figure_data import FigureData

MAX_HEIGHT = 100.0
"""Inches; a taller figure fits no paper, and a PNG has a largest size."""
PAD = 0.04
"""Inches around a panel with its texts."""

Format = Literal["png", "pdf", "svg"]
LegendEntries = Sequence[tuple[Artist, str]]


@dataclass(frozen=True)
class Drawing:
    """A figure of matplotlib with its texts.

    Attributes:
        figure: matplotlib's figure.
        title: title in words.
        alt: alternative text that describes what can be seen.
        note: what is said below the panels: n, and the cells that are missing.
        part: tells several figures of a kind and a dataset apart.
        name: name of its file, without the suffix.
        dataset: that it shows; empty if it shows all.
        contents: of its image files, by format, if it was rendered.
    """

    figure: Figure
    title: str
    alt: str
    note: str
    part: str = ""
    name: str = ""
    dataset: str = ""
    contents: Mapping[Format, bytes] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        """Send an empty figure of the same size to another process, which needs the contents."""
        return vars(self) | {
            "figure": Figure(figsize=(self.figure.get_figwidth(), self.figure.get_figheight()))
        }


class Panels:
    """Panels row by row; `finish` adds what is below them."""

    def __init__(
        self,
        data: FigureData,
        count: int,
        *,
        width: float = 1.6,
        height: float = 1.4,
        most: int = 4,
        columns: int = 0,
        **subplots: Any,
    ) -> None:
        """Make panels.

        Args:
            data: what is drawn.
            count: number of panels.
            width: least width of a panel in inches. The figure is as wide as a column of the paper
                if a row fits into it, or else as the text.
            height: of a row in inches, with its ticks and titles.
            most: largest number of columns.
            columns: number of columns, where it must be this one.
            **subplots: arguments of `Figure.subplots`, such as `sharex` and `sharey`.

        Raises:
            UsageError: there are several panels and the caller's axes.
        """
        self.data, self.given, self.cut = data, data.ax, ""
        narrow, wide = page_widths(data.options.width)
        fitting = columns or even_columns(count, min(most, wide / width))
        self.width = narrow if fitting * width <= narrow * 1.01 else wide
        self.columns, self.rows = fitting, math.ceil(count / fitting)
        self.panel_height, self.shares_y = height, bool(subplots.get("sharey"))
        if data.ax is not None:
            if count > 1:
                raise UsageError(f"{count} panels, and ax takes one: choose with metric= or on=")
            self.width = data.ax.bbox.width / data.ax.figure.dpi
            self.figure: Figure = data.ax.figure  # type: ignore[assignment]
            self.axes = [data.ax]
            return
        if height * self.rows > MAX_HEIGHT:
            reason = "choose fewer with -d, -m, --metric or --on"
            raise NoData(f"{height * self.rows:.0f} inches tall: {reason}")
        self.figure = Figure(figsize=(self.width, height * self.rows))
        FigureCanvasAgg(self.figure)
        grid = self.figure.subplots(self.rows, self.columns, squeeze=False, **subplots).ravel()
        self.axes = list(grid[:count])
        for left_over in grid[count:]:
            left_over.remove()
        for above in self.axes[max(0, count - self.columns) :]:
            above.xaxis.set_tick_params(labelbottom=True)

    def __iter__(self) -> Iterator[Axes]:
        return iter(self.axes)

    @property
    def panel_width(self) -> float:
        """About the width of a panel in inches, for text that is wrapped to it."""
        return self.width / self.columns - (0.2 if self.shares_y else 0.45)

    def is_left(self, index: int) -> bool:
        """Return whether a panel is the first of its row."""
        return index % self.columns == 0

    def is_bottom(self, index: int) -> bool:
        """Return whether there is no panel below."""
        return index + self.columns >= len(self.axes)

    def scale(
        self,
        axes: Axes,
        axis: AxisName,
        means: pd.DataFrame,
        possible: Limits = ANY,
        ticks: int = 4,
        **settings: Any,
    ) -> None:
        """Set the limits and the ticks of an axis for means with intervals, as `seed_means` has.

        Other arguments are those of `set_limits`. `cut` says for the note if something is beyond.
        """
        ends = means[["low", "high"]].to_numpy().ravel()
        arguments = {"values": means["mean"], "ends": ends, "possible": possible} | settings
        self.cut = CUT if set_limits(axes, axis, **arguments) else self.cut
        set_ticks(axes.xaxis if axis == "x" else axes.yaxis, ticks)

    def label(self, x: str = "", y: str = "") -> None:
        """Label the axes at the left and at the bottom."""
        for index, axes in enumerate(self.axes):
            if x and self.is_bottom(index):
                axes.set_xlabel(wrap(x, self.panel_width))
            if y and self.is_left(index):
                axes.set_ylabel(wrap(y, self.panel_height * 0.8))

    def title(self, axes: Axes, text: str, lines: int = 2, **settings: Any) -> None:
        """Set the title of a panel, wrapped to its width, unless the caller's axes have one."""
        if not axes.get_title():
            axes.set_title(wrap(text, self.panel_width, lines), **settings)

    def finish(
        self, title: str, alt: str, note: str = "", legend: LegendEntries = (), part: str = ""
    ) -> Drawing:
        """Add the legend and the note, lay the figure out, and return it.

        The caller's axes get the legend alone, below them.
        """
        entries = [(handle, wrap(text, self.width / 2 - 0.5, 6)) for handle, text in legend]
        if self.given is not None:
            if entries:
                self._add_legend_below(self.given, entries)
        else:
            self._lay_out(entries, note if self.data.options.note else "")
        return Drawing(self.figure, title, alt, note, part)

    def _lay_out(self, entries: LegendEntries, note: str) -> None:
        """Add the footer and make the figure taller by it, then place the panels above it."""
        below = 0.0
        panels = float(self.figure.get_figheight())
        artists: list[Any] = []
        if note:
            text = wrap(note, (self.width - 0.12) / 1.05, 8)
            artists.append(self.figure.text(0.06 / self.width, 0, text, va="top", color=GREY))
        if entries:
            artists.append(self._legend(entries))
        heights = [artist.get_window_extent().height / self.figure.dpi for artist in artists]
        total = panels + sum(heights) + 0.05 * len(artists)
        self.figure.set_figheight(total)
        for artist, height in zip(artists, heights, strict=True):
            below += height + 0.05
            if artist in self.figure.legends:
                artist.set_bbox_to_anchor((0.04 / self.width, below / total))
            else:
                artist.set_y(below / total)
        if self.axes[0].get_subplotspec():
            engine = ConstrainedLayoutEngine(
                w_pad=PAD, h_pad=PAD, wspace=0, hspace=0, rect=(0, below / total, 1, panels / total)
            )
            self.figure.set_layout_engine(engine)
            engine.execute(self.figure)
            # Once is enough. With any engine, even "none", saving draws twice.
            self.figure.set_layout_engine(None)

    def _add_legend_below(self, axes: Axes, entries: LegendEntries) -> None:
        """Add a legend below the caller's axes, for which a layout of matplotlib makes room."""
        size = FontProperties(size=mpl.rcParams["legend.fontsize"]).get_size_in_points()
        box = axes.xaxis.get_tightbbox(self.figure._get_renderer())  # type: ignore[attr-defined]
        # In inches, so that it stays where it is when the layout changes the axes' height.
        ticks = (box.height if box else 0) / self.figure.dpi + 0.04
        place = ScaledTranslation(0, -ticks, self.figure.dpi_scale_trans)
        anchor = {"bbox_to_anchor": (0.5, 0), "bbox_transform": axes.transAxes + place}
        columns = _legend_columns(entries, self.width * FONT_SIZE / size, 0.6)
        axes.legend(
            *zip(*entries, strict=True), loc="upper center", ncols=columns, frameon=False, **anchor
        )

    def _legend(self, entries: LegendEntries) -> Artist:
        columns = _legend_columns(entries, self.width + 0.05, 0.4)
        spacing = {"borderpad": 0.0, "borderaxespad": 0.0, "labelspacing": 0.25}
        spacing |= {"handlelength": 2.4, "columnspacing": 1.2, "handletextpad": 0.5}
        handles, texts = zip(*entries, strict=True)
        return self.figure.legend(
            handles, texts, loc="upper left", ncols=columns, frameon=False, **spacing
        )


def _legend_columns(entries: LegendEntries, room: float, sign: float) -> int:
    """Return how many columns of a legend fit into inches, beside a sign before each text."""
    widest = max(text_width(line) for _, text in entries for line in text.split("\n"))
    return even_columns(len(entries), room / (widest + sign))
