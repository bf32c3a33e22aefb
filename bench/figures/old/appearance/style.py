"""The style of each label (colour, marker, dashes), sizes, and the settings of matplotlib.

Sizes are in inches and points as printed: one column of a two-column paper is 3.3 inches wide, both
are 6.9, and no text is smaller than 7 points.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.lines import Line2D

from distillation_bench.bench.analysis.old_results import Results
from distillation_bench.bench.figures.old.appearance.colors import (
    GREY,
    VARIANT_SHADES,
    method_colors,
    mix,
)

COLUMN, PAGE = 3.3, 6.9
"""Widths of one column and of a page, in inches."""
FONT, FONT_SIZE = "DejaVu Sans", 7.0
LINE = 0.125
"""Height of a line of text, in inches."""
DOTS_PER_INCH = 300

_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">", "p", "d", "*", "h")
_DASHES: tuple[Any, ...] = ("-", (0, (4, 1.3)), (0, (1.2, 1.2)), (0, (5, 1.2, 1.2, 1.2)))

_SETTINGS: Mapping[str, Any] = {
    "font.family": FONT,
    "font.size": FONT_SIZE,
    "axes.titlesize": FONT_SIZE,
    "axes.labelsize": FONT_SIZE,
    "xtick.labelsize": FONT_SIZE,
    "ytick.labelsize": FONT_SIZE,
    "legend.fontsize": FONT_SIZE,
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
    # A `$` in a label is a dollar sign.
    "text.parse_math": False,
    "svg.hashsalt": "distillation-bench",
    # Publishers refuse Type 3 fonts.
    "pdf.fonttype": 42,
}


@contextlib.contextmanager
def figure_style() -> Iterator[None]:
    """Set matplotlib up for drawing and writing figures, whatever the user's own settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)  # type: ignore[arg-type]
        yield


@dataclass(frozen=True)
class LabelStyle:
    """How a label is drawn in every figure."""

    color: str
    marker: str
    dashes: Any


class LabelStyles:
    """The styles of all labels of results; selecting some of the labels changes no style.

    The colour is the method's, by its position among all registered methods. Shade, marker and
    dashes distinguish the variants of a method.
    """

    def __init__(self, results: Results) -> None:
        methods = results.manifest["methods"]
        colors = method_colors(methods)
        positions = {method["name"]: position for position, method in enumerate(methods)}
        self._styles: dict[str, LabelStyle] = {}
        variants: dict[str, int] = {}
        for label in results.labels():
            method = results.methods[label]
            variant = variants[method] = variants.get(method, -1) + 1
            shade = VARIANT_SHADES[variant % len(VARIANT_SHADES)]
            self._styles[label] = LabelStyle(
                mix(colors.get(method, GREY), shade),
                _MARKERS[(positions.get(method, 0) + variant) % len(_MARKERS)],
                _DASHES[variant % len(_DASHES)],
            )

    def __getitem__(self, label: str) -> LabelStyle:
        return self._styles[label]

    def color(self, label: str) -> str:
        """Return a label's colour."""
        return self[label].color

    def legend_entry(self, label: str, line: bool = True, text: str = "") -> tuple[Artist, str]:
        """Return a label's entry in a legend, with or without a line through its marker."""
        style = self[label]
        handle = Line2D(
            [],
            [],
            color=style.color,
            marker=style.marker,
            linestyle=style.dashes if line else "none",
            markersize=3.5,
        )
        return handle, text or label
