"""One look for every figure: a style a method, sizes for print, text that may be hostile.

Sizes are in inches and points as printed: a column of a two-column paper is 3.3 inches wide, both
are 6.9, and no text is below 7 points.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path

from distillation_bench.bench.analysis.results import Results

Format = Literal["png", "pdf", "svg"]

COLUMN, PAGE = 3.3, 6.9
SIZE = 7.0
LINE = 0.125
"""Height of a line of text."""
DOTS_PER_INCH = 300

INK, GREY, FAINT = "#000000", "#6B6B6B", "#D0D0D0"
DIM = "#A6A6A6"
"""Of what is no merit: figures that are worse than chance."""
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
            method = results.methods[label]
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
