"""How figures look: widths, fonts, and the colour, marker and dashes of each label.

Sizes are in inches and points as printed: no text is smaller than 7 points.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from itertools import cycle
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.colors import to_hex, to_rgb
from matplotlib.font_manager import get_font_names
from matplotlib.lines import Line2D

from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.common.errors import UsageError, nearest

INK, GREY, FAINT = "#000000", "#6B6B6B", "#D0D0D0"
DIM = "#A6A6A6"
"""Colour of values in which no method is best, since the teacher is worse than chance."""
UNCERTAINTY_COLORMAP = "cividis"
"""Even in lightness, and the same for readers with a colour vision deficiency."""
FONT, FONT_SIZE = "DejaVu Sans", 7.0
DOTS_PER_INCH = 300
WIDTHS = {
    "": (3.3, 6.9),
    "neurips": (5.5, 5.5),
    "iclr": (5.5, 5.5),
    "icml": (3.25, 6.75),
    "acl": (3.03, 6.3),
}
"""Widths of a column and of the text in inches; neurips and iclr have one column."""

_REFERENCE_COLORS = (INK, "#4D4D4D")
_SHADES = (0.0, -0.4, 0.35, -0.2, 0.2, -0.6, 0.45)
"""Shares of black (negative) or white that are mixed into the colour of the method."""
_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">", "p", "d", "*", "h")
_DASHES: tuple[Any, ...] = ("-", (0, (4, 1.3)), (0, (1.2, 1.2)), (0, (5, 1.2, 1.2, 1.2)))

_SETTINGS: dict[Any, Any] = {
    **{"axes.titlepad": 3.0, "axes.labelpad": 2.0, "axes.axisbelow": True},
    **{f"{axis}tick.{name}": 2.0 for axis in "xy" for name in ("major.size", "major.pad")},
    **{"axes.spines.top": False, "axes.spines.right": False},
    **{"lines.linewidth": 0.9, "lines.markersize": 3.5, "lines.markeredgewidth": 0.0},
    # Seaborn's own map is known only where seaborn is imported.
    "image.cmap": UNCERTAINTY_COLORMAP,
    # A `$` in a label is a dollar sign.
    "text.parse_math": False,
    "svg.hashsalt": "distillation-bench",
    # Publishers refuse Type 3 fonts.
    "pdf.fonttype": 42,
}
_LINE_WIDTHS = {"axes.linewidth": 0.5, "xtick.major.width": 0.5, "ytick.major.width": 0.5}


def figure_style(font: str = "") -> dict[Any, Any]:
    """Return all settings of matplotlib for drawing and writing figures, for `mpl.rc_context`.

    None of the user's own settings is left. Processes that draw are given the settings, and do not
    import seaborn, which takes half a second.
    """
    import seaborn as sns

    settings: dict[Any, Any] = {
        name: v for name, v in mpl.rcParamsDefault.items() if name != "backend"
    }
    settings |= sns.axes_style("ticks") | sns.plotting_context("paper", rc=_LINE_WIDTHS)
    sizes = [name for name in settings if name.endswith((".labelsize", "font.size"))]
    sizes += ["axes.titlesize", "legend.fontsize", "legend.title_fontsize"]
    settings |= dict.fromkeys(sizes, FONT_SIZE) | _SETTINGS
    # The second font has the characters that the first one lacks.
    return settings | {"font.family": [font, FONT] if font else [FONT]}


def check_font(font: str) -> None:
    """Raise UsageError if there is no such font on this machine."""
    names = [*get_font_names(), "serif", "sans-serif", "monospace"]
    if font and font not in names:
        raise UsageError(f"--font {font}: not on this machine{nearest(font, names)}")


def page_widths(width: str) -> tuple[float, float]:
    """Return the widths of a narrow and of a wide figure, from inches or the name of a venue.

    Raises:
        UsageError: it is neither.
    """
    if width in WIDTHS:
        return WIDTHS[width]
    with contextlib.suppress(ValueError):
        inches = float(width)
        if 2 <= inches <= 40:
            return inches, inches
    names = ", ".join(filter(None, WIDTHS))
    raise UsageError(f"--width {width}: give 2 to 40 inches or one of {names}")


class LabelStyle(NamedTuple):
    """How a label is drawn in every figure."""

    color: str
    marker: str
    dashes: Any

    @property
    def line(self) -> dict[str, Any]:
        """Arguments of `Axes.plot` for a line with markers."""
        return {"color": self.color, "marker": self.marker, "linestyle": self.dashes}

    def handle(self, line: bool = True) -> Artist:
        """Return the label's sign in a legend, with or without a line through its marker."""
        return Line2D([], [], **self.line | ({} if line else {"linestyle": "none"}))


def label_styles(results: Results) -> dict[str, LabelStyle]:
    """Return the styles of all labels of results; selecting some of them changes no style.

    The colour is the method's, by its position among all registered methods. Shade, marker and
    dashes distinguish the variants of a method.
    """
    registered = results.manifest["methods"]
    references = [method["name"] for method in registered if method["reference"]]
    students = [method["name"] for method in registered if not method["reference"]]
    colors = dict(zip(references, cycle(_REFERENCE_COLORS), strict=False))
    colors |= dict(zip(students, cycle(_student_colors()), strict=False))
    positions = {method["name"]: position for position, method in enumerate(registered)}
    variants: dict[str, int] = {}
    styles = {}
    for label in results.labels():
        method = results.methods[label]
        variant = variants[method] = variants.get(method, -1) + 1
        styles[label] = LabelStyle(
            mix(colors.get(method, GREY), _SHADES[variant % len(_SHADES)]),
            _MARKERS[(positions.get(method, 0) + variant) % len(_MARKERS)],
            _DASHES[variant % len(_DASHES)],
        )
    return styles


def _student_colors() -> list[str]:
    """Return colours for readers with a colour vision deficiency.

    They are seaborn's without those too light for lines (brown, pink, yellow), then three of Tol's.
    """
    import seaborn as sns

    palette = list(sns.color_palette("colorblind").as_hex())
    return [palette[7], *palette[:5], palette[9], "#882255", "#999933", "#332288"]


def mix(color: str, share: float) -> str:
    """Mix a colour with a share of white, or of black where the share is negative."""
    end = 0.0 if share < 0 else 1.0
    # A light colour takes less white, or its lines would be faint.
    share = abs(share) if share < 0 else share * min(1.0, 1.4 * (1 - _lightness(to_rgb(color))))
    red, green, blue = (part + share * (end - part) for part in to_rgb(color))
    return to_hex((red, green, blue))


def _lightness(color: Sequence[float]) -> float:
    return sum(w * c for w, c in zip((0.3, 0.59, 0.11), color, strict=False))


def even_columns(count: int, most: float) -> int:
    """Return a number of columns, at most `most`, with which all rows are about as full."""
    rows = math.ceil(count / max(1, int(most)))
    return math.ceil(count / rows)
