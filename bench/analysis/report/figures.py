"""Figures of a page: drawn, and written into it as images."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.analysis.results import Results

if TYPE_CHECKING:
    from bench.analysis.plots import Drawn

LARGEST_SVG = 60_000
"""Bytes; a drawing of more lines and points than that is smaller as an image."""
PIXELS_PER_INCH = 96
WIDE = 6.0
"""Inches; a figure as wide as a page keeps a width on a phone that can be read, and scrolls."""


@dataclass(frozen=True)
class Picture:
    """An image within the page; its size in CSS pixels."""

    name: str
    title: str
    alt: str
    source: str
    width: int
    height: int
    wide: bool


def figures(results: Results) -> list[Picture]:
    """Every figure that there is data for."""
    from bench.analysis.plots import draw_all

    return [_picture(drawn) for drawn in draw_all(results)]


def _picture(drawn: Drawn) -> Picture:
    from bench.analysis.plots import to_bytes

    kind, content = "svg+xml", to_bytes(drawn.figure, "svg")
    if len(content) > LARGEST_SVG:
        kind, content = "png", to_bytes(drawn.figure, "png")
    width, height = drawn.figure.get_size_inches()
    return Picture(
        drawn.name,
        drawn.title,
        drawn.alt,
        f"data:image/{kind};base64,{base64.b64encode(content).decode()}",
        round(width * PIXELS_PER_INCH),
        round(height * PIXELS_PER_INCH),
        bool(width > WIDE),
    )
