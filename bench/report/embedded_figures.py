"""Figures as images within a page."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from distillation_bench.bench.analysis.old_results import Results

if TYPE_CHECKING:
    from distillation_bench.bench.figures.image_files import RenderedFigure

PIXELS_PER_INCH = 96
DOTS_PER_PIXEL = 2
"""As SVG, every figure of a real run would be several times as large."""
WIDE = 6.0
"""Inches; a wider figure keeps a width on a phone that can be read, and scrolls."""


@dataclass(frozen=True)
class EmbeddedFigure:
    """An image within the page; its size is in CSS pixels."""

    name: str
    title: str
    alt: str
    note: str
    source: str
    width: int
    height: int
    wide: bool


def embedded_figures(results: Results) -> list[EmbeddedFigure]:
    """Return every figure that has data."""
    from distillation_bench.bench.analysis.results import load
    from distillation_bench.bench.figures.rendering import render

    folders = [run.folder for run in results.runs]
    tables = load(*folders, mixed=True, agree=False)
    resolution = DOTS_PER_PIXEL * PIXELS_PER_INCH
    return [_embedded(figure) for figure in render(tables, dots_per_inch=resolution)]


def _embedded(figure: RenderedFigure) -> EmbeddedFigure:
    return EmbeddedFigure(
        figure.name,
        figure.title,
        figure.alt,
        figure.note,
        f"data:image/png;base64,{base64.b64encode(figure.contents['png']).decode()}",
        round(figure.width * PIXELS_PER_INCH),
        round(figure.height * PIXELS_PER_INCH),
        figure.width > WIDE,
    )
