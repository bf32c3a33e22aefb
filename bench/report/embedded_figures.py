"""Figures of a page: drawn, and written into it as images."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from distillation_bench.bench.analysis.results import Results

if TYPE_CHECKING:
    from distillation_bench.bench.figures.figure_types import RenderedFigure

PIXELS_PER_INCH = 96
SHARPNESS = 2
"""Dots a pixel of the page. As SVG every figure of a real run is larger, several times."""
WIDE = 6.0
"""Inches; a figure as wide as a page keeps a width on a phone that can be read, and scrolls."""


@dataclass(frozen=True)
class Picture:
    """An image within the page; its size in CSS pixels."""

    name: str
    title: str
    alt: str
    note: str
    source: str
    width: int
    height: int
    wide: bool


def figures(results: Results) -> list[Picture]:
    """Every figure that there is data for."""
    from distillation_bench.bench.figures.rendering import render

    return [_picture(each) for each in render(results, dots_per_inch=SHARPNESS * PIXELS_PER_INCH)]


def _picture(rendered: RenderedFigure) -> Picture:
    return Picture(
        rendered.name,
        rendered.title,
        rendered.alt,
        rendered.note,
        f"data:image/png;base64,{base64.b64encode(rendered.contents['png']).decode()}",
        round(rendered.width * PIXELS_PER_INCH),
        round(rendered.height * PIXELS_PER_INCH),
        rendered.width > WIDE,
    )
