"""One look for every figure: a style a method, sizes for print, text that may be hostile.

Sizes are in inches and points as printed: a column of a two-column paper is 3.3 inches wide, both
are 6.9, and no text is below 7 points. Figures are laid out here, not by matplotlib's layout
engines: those take longer than all the drawing, and differ with what is drawn.
"""

from __future__ import annotations

import contextlib
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullLocator,
)

from bench.analysis.results import Results
from bench.analysis.statistics import Interval

Format = Literal["png", "pdf", "svg"]
Which = Literal["x", "y"]
Range = tuple[float, float]

COLUMN, PAGE = 3.3, 6.9
SIZE = 7.0
LINE = 0.125
"""Height of a line of text."""
DOTS_PER_INCH = 300
WIDE = 30.0
"""Figures so many times apart are seen only on a logarithmic scale."""

INK, GREY, FAINT = "#000000", "#6B6B6B", "#D0D0D0"
MAP = "cividis"
"""Of uncertainties: even in lightness, and the same for colour-blind eyes."""

# Okabe and Ito's colours, made for colour-blind readers, without their yellow, which is too light
# for lines; then three of Tol's. Students are drawn in them in the order of tables.
_STUDENTS = (
    *("#7F7F7F", "#E69F00", "#009E73", "#56B4E9", "#D55E00", "#CC79A7", "#0072B2"),
    *("#882255", "#999933", "#332288"),
)
_REFERENCES = ("#000000", "#4D4D4D")
# Towards black (below 0) or white: variants of one method.
_SHADES = (0.0, -0.4, 0.4, -0.2, 0.25, -0.55, 0.55)
_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">", "p", "d", "*", "h")
MARGIN = 1.05
"""Text may be so much wider than what it is wrapped to."""
_DASHES: tuple[Any, ...] = ("-", (0, (4, 1.3)), (0, (1.2, 1.2)), (0, (5, 1.2, 1.2, 1.2)))

_SETTINGS: Mapping[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": SIZE,
    "axes.titlesize": SIZE,
    "axes.labelsize": SIZE,
    "xtick.labelsize": SIZE,
    "ytick.labelsize": SIZE,
    "legend.fontsize": SIZE,
    "axes.linewidth": 0.5,
    "axes.titlepad": 3.0,
    "axes.labelpad": 2.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.0,
    "ytick.major.size": 2.0,
    "xtick.major.pad": 2.0,
    "ytick.major.pad": 2.0,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.5,
    # A `$` in a label is a dollar.
    "text.parse_math": False,
    "svg.hashsalt": "distillation-bench",
    # Publishers take no Type 3 fonts.
    "pdf.fonttype": 42,
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Draw and write within it: the same pictures whatever the user's own settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)  # type: ignore[arg-type]
        yield


def to_bytes(figure: Figure, kind: Format, dots_per_inch: int = DOTS_PER_INCH) -> bytes:
    """A figure as a file's content; the same figure gives the same bytes."""
    metadata: dict[str, Any] = {
        "png": {"Software": None},
        "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    }[kind]
    drawing = kind == "png" and not any(axes.images for axes in figure.axes)
    # Written once more with a palette: no use in compressing it twice.
    packing: dict[str, Any] = {"pil_kwargs": {"compress_level": 0}} if drawing else {}
    content = io.BytesIO()
    with style():
        figure.savefig(content, format=kind, dpi=dots_per_inch, metadata=metadata, **packing)
    return _few_colors(content, dots_per_inch) if drawing else content.getvalue()


def _few_colors(content: io.BytesIO, dots_per_inch: int) -> bytes:
    """A PNG with a palette: a third of the size, and of a drawing the eye sees no difference."""
    from PIL import Image

    smaller = io.BytesIO()
    with Image.open(content) as image:
        few = image.convert("RGB").quantize(
            256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
        )
        # Paper is white, not nearly so.
        palette = few.getpalette() or []
        colors = (palette[start : start + 3] for start in range(0, len(palette), 3))
        few.putpalette([part for c in colors for part in ([255] * 3 if min(c) > 250 else c)])
        few.save(smaller, "png", dpi=(dots_per_inch, dots_per_inch))
    return smaller.getvalue()


@dataclass(frozen=True)
class Style:
    """How a label is drawn everywhere."""

    color: str
    marker: str
    dashes: Any


class Look:
    """Styles of all labels of results: a choice of some of them changes none.

    The colour is the method's, by its place among all methods that are registered; shade, marker
    and dashes tell its variants apart.
    """

    def __init__(self, results: Results) -> None:
        described = results.manifest["methods"]
        kinds = {
            name: [each["name"] for each in described if each["reference"] is reference]
            for name, reference in (("reference", True), ("student", False))
        }
        colors = dict(zip(kinds["reference"], _cycle(_REFERENCES), strict=False))
        colors |= dict(zip(kinds["student"], _cycle(_STUDENTS), strict=False))
        places = {each["name"]: place for place, each in enumerate(described)}
        self._styles: dict[str, Style] = {}
        variants: dict[str, int] = {}
        for label in results.labels():
            method = results.method(label)
            variant = variants[method] = variants.get(method, -1) + 1
            self._styles[label] = Style(
                _shade(colors.get(method, GREY), _SHADES[variant % len(_SHADES)]),
                _MARKERS[(places.get(method, 0) + variant) % len(_MARKERS)],
                _DASHES[variant % len(_DASHES)],
            )

    def __getitem__(self, label: str) -> Style:
        return self._styles[label]

    def color(self, label: str) -> str:
        """A label's colour."""
        return self[label].color

    def key(self, label: str, line: bool = True, text: str = "") -> tuple[Artist, str]:
        """Its entry of a legend."""
        each = self[label]
        handle = Line2D(
            [],
            [],
            color=each.color,
            marker=each.marker,
            linestyle=each.dashes if line else "none",
            markersize=3.5,
        )
        return handle, text or label


def _cycle(colors: Sequence[str]) -> Iterator[str]:
    while True:
        yield from colors


def _shade(color: str, towards: float) -> str:
    end = 0.0 if towards < 0 else 1.0
    red, green, blue = (part + abs(towards) * (end - part) for part in to_rgb(color))
    return to_hex((red, green, blue))


# Text


def clean(text: str) -> str:
    """Text that can be drawn: what the font lacks is marked, and legends leave out a leading _."""
    font = get_font(findfont(FontProperties(family=["DejaVu Sans"])))
    shown = "".join(c if font.get_char_index(ord(c)) else "\N{REPLACEMENT CHARACTER}" for c in text)
    return f" {shown}" if shown.startswith("_") else shown


@lru_cache(maxsize=4096)
def width_of(text: str) -> float:
    """Of a line of text, in inches."""
    font = FontProperties(family=["DejaVu Sans"], size=SIZE)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width) / 72


def wrapped(text: str, width: float, lines: int = 3) -> str:
    """Text in lines of at most so many inches; what does not fit in so many lines is cut off."""
    text = clean(text)
    if width_of(text) <= width * MARGIN:
        return text
    if lines == 1:
        return _cut(text, width)
    found = [""]
    # Names of variants break at commas and before their parameters, too.
    for part in re.split(r"(?<=[ ,])|(?=\[)", text):
        rest = part
        if found[-1] and width_of(found[-1] + rest.rstrip()) > width * MARGIN:
            found.append("")
        while width_of(rest) > width * MARGIN:
            head = rest[: max(1, int(len(rest) * width / width_of(rest)))]
            found[-1:] = [head, ""]
            rest = rest[len(head) :]
        found[-1] += rest
    if len(found) > lines:
        found[lines - 1 :] = [_cut("".join(found[lines - 1 :]), width)]
    return "\n".join(each.strip() for each in found)


def _cut(text: str, width: float) -> str:
    while len(text) > 1 and width_of(f"{text}…") > width * MARGIN:
        text = text[: min(len(text) - 1, int(len(text) * width / width_of(text)))]
    return f"{text}…"


# Layout


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
    """
    width = width or (COLUMN if columns <= 2 else PAGE)
    rows = math.ceil(count / columns)
    footer = _footer(width, keys, note)
    tops = [0.0]
    for row in range(1, rows):
        tops.append(tops[-1] + height + between[int(row % group == 0)])
    total = top + tops[-1] + height + bottom + footer.height
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


# Scales


def plain_number(value: float) -> str:
    """As ticks show it."""
    return f"{value:.4g}".replace("e-0", "e-").replace("e+0", "e").replace("-", "\N{MINUS SIGN}")


def short_number(value: float) -> str:
    """Of sizes: 20k, 1.5M."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def ticks(
    axis: Axis, many: int = 4, text: Callable[[float], str] = plain_number, inner: bool = False
) -> None:
    """Few round numbers, in plain text; `inner` ones leave the ends to the neighbours."""
    kind = axis.get_scale()
    if kind == "log":
        low, high = axis.get_view_interval()
        subs = (1.0,) if high / low > 100 else (1.0, 2.0, 5.0)
        axis.set_major_locator(LogLocator(subs=subs, numticks=many + 1))
    elif kind == "symlog":
        axis.set_major_locator(FixedLocator(_both_sides(axis, many)))
    else:
        prune = "both" if inner else None
        axis.set_major_locator(MaxNLocator(many, steps=[1, 2, 5, 10], prune=prune))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))


def _both_sides(axis: Axis, many: int) -> list[float]:
    """0 and powers of ten above and below it, without those that would stand on it."""
    low, high = axis.get_view_interval()
    threshold = axis.get_transform().linthresh  # type: ignore[attr-defined]
    first, last = math.log10(threshold) + 0.5, math.log10(max(abs(low), high))
    step = max(1, math.ceil((last - first) / max(1, many - 1)))
    powers = [10.0**k for k in range(math.floor(last), math.ceil(first) - 1, -step)]
    return [
        0.0,
        *(sign * each for each in powers for sign in (-1, 1) if low <= sign * each <= high),
    ]


def fit(
    axes: Axes,
    which: Which,
    values: Sequence[float],
    wide: Sequence[float] = (),
    within: Range | None = None,
) -> None:
    """Scale and limits of an axis for figures, logarithmic where they are far apart.

    `wide` values, ends of intervals, are seen unless they are much farther out than the values:
    one of two seeds may be a hundred times as long as all the rest (`intervals` marks them). What
    can't leave a range `within` has a linear axis that shows nothing beyond it.
    """
    set_scale, set_limits = getattr(axes, f"set_{which}scale"), getattr(axes, f"set_{which}lim")
    finite = np.array([value for value in values if math.isfinite(value)])
    if not len(finite):
        return
    low, high = float(finite.min()), float(finite.max())
    sizes = np.abs(finite[finite != 0])
    ends = [value for value in wide if math.isfinite(value)]
    bounded = within is not None and within[0] <= low and high <= within[1]
    if not bounded and low > 0 and high / low > WIDE:
        set_scale("log")
        ends = [min(max(end, low / 3), high * 3) for end in ends]
        set_limits(min([low, *ends]) / 1.3, max([high, *ends]) * 1.3)
    elif (
        not bounded and len(sizes) and sizes.max() / np.percentile(sizes, 10, method="lower") > WIDE
    ):
        least = max(float(np.percentile(sizes, 10, method="lower")), float(sizes.max()) * 1e-6)
        set_scale("symlog", linthresh=least, linscale=0.5)
        set_limits(low * 1.5 if low < 0 else -0.3 * least, high * 1.5 if high > 0 else 0.3 * least)
    else:
        spread = (high - low) or 0.1 * abs(high) or 1.0
        least, most = within if bounded and within else (-math.inf, math.inf)
        least, most = max(least, low - 3 * spread), min(most, high + 3 * spread)
        ends = [min(max(end, least), most) for end in ends]
        low, high = min([low, *ends]), max([high, *ends])
        room = 0.1 * (high - low or spread)
        low, high = low - room, high + room
        if bounded and within:
            # Points at the very end of the range stay whole.
            low, high = max(low, within[0] - 0.3 * room), min(high, within[1] + 0.3 * room)
        set_limits(low, high)


def scale_of(axes: Axes, which: Which) -> str:
    """What is said behind the name of an axis: " (log)", " (symlog)", nothing if it is linear."""
    scale = axes.get_xscale() if which == "x" else axes.get_yscale()
    return "" if scale == "linear" else f" ({scale})"


def intervals(
    axes: Axes,
    which: Which,
    places: Sequence[float],
    each: Sequence[Interval],
    color: str,
    linewidth: float = 0.8,
) -> None:
    """Intervals along an axis that has its limits; an arrowhead where the frame cuts one."""
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    heads = ("<", ">") if which == "x" else ("v", "^")
    lines: list[tuple[float, float]] = []
    cut: dict[str, list[tuple[float, float]]] = {}
    for place, span in zip(places, each, strict=True):
        if math.isnan(span.low):
            continue
        # One line with gaps is drawn sooner than many.
        gap = [(math.nan, math.nan)] if lines else []
        lines += [*gap, (max(span.low, low), place), (min(span.high, high), place)]
        if span.low < low:
            cut.setdefault(heads[0], []).append((low, place))
        if span.high > high:
            cut.setdefault(heads[1], []).append((high, place))
    for marker, points in {"-": lines, **cut}.items():
        if points:
            along, across = zip(*points, strict=True)
            x, y = (along, across) if which == "x" else (across, along)
            drawn = axes.plot(x, y, marker, color=color, linewidth=linewidth, clip_on=marker == "-")
            drawn[0].set(markersize=3, markeredgewidth=0)
