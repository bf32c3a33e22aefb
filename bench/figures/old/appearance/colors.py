"""The colours of figures: which colour a method gets, and those of text, grids and maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

from matplotlib.colors import to_hex, to_rgb

INK, GREY, FAINT = "#000000", "#6B6B6B", "#D0D0D0"
DIM = "#A6A6A6"
"""Colour of values in which no method is best, since the teacher is worse than chance."""
UNCERTAINTY_COLORMAP = "cividis"
"""Even in lightness, and the same for readers with a colour vision deficiency."""

# The colours of Okabe and Ito, made for readers with a colour vision deficiency, without their
# yellow, which is too light for lines; then three of Tol's. Students get them in order of tables.
_STUDENT_COLORS = (
    *("#7F7F7F", "#E69F00", "#009E73", "#56B4E9", "#D55E00", "#CC79A7", "#0072B2"),
    *("#882255", "#999933", "#332288"),
)
_REFERENCE_COLORS = ("#000000", "#4D4D4D")
VARIANT_SHADES = (0.0, -0.4, 0.4, -0.2, 0.25, -0.55, 0.55)
"""Shares of black (negative) or white that are mixed into the colour of the method."""


def method_colors(methods: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the colour of each method, by its position among references or students."""
    references = [method["name"] for method in methods if method["reference"]]
    students = [method["name"] for method in methods if not method["reference"]]
    colors = dict(zip(references, cycle(_REFERENCE_COLORS), strict=False))
    return colors | dict(zip(students, cycle(_STUDENT_COLORS), strict=False))


def mix(color: str, share: float) -> str:
    """Mix a colour with a share of white, or of black where the share is negative."""
    end = 0.0 if share < 0 else 1.0
    red, green, blue = (part + abs(share) * (end - part) for part in to_rgb(color))
    return to_hex((red, green, blue))
