"""A figure as the content of an image file; the same figure gives the same bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib.figure import Figure

from distillation_bench.bench.figures.style import DOTS_PER_INCH, figure_style

Format = Literal["png", "pdf", "svg"]

_METADATA: dict[Format, dict[str, Any]] = {
    # Without dates and versions.
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
}


@dataclass(frozen=True)
class RenderedFigure:
    """A figure as image files.

    Attributes:
        name, dataset, title, alt, note: as in `Drawing`.
        width, height: size in inches.
        contents: content of the file in each format.
    """

    name: str
    dataset: str
    title: str
    alt: str
    note: str
    width: float
    height: float
    contents: Mapping[Format, bytes]


def to_bytes(figure: Figure, format: Format, dots_per_inch: int = DOTS_PER_INCH) -> bytes:
    """Return the content of an image file of a figure."""
    has_palette = format == "png" and not any(axes.images for axes in figure.axes)
    # The PNG is written again with a palette: compressing it twice would take time for nothing.
    options: dict[str, Any] = {"pil_kwargs": {"compress_level": 0}} if has_palette else {}
    content = io.BytesIO()
    with figure_style():
        figure.savefig(
            content, format=format, dpi=dots_per_inch, metadata=_METADATA[format], **options
        )
    return _with_palette(content, dots_per_inch) if has_palette else content.getvalue()


def _with_palette(content: io.BytesIO, dots_per_inch: int) -> bytes:
    """Return a PNG of 256 colours: a third of the size, and no visible difference in a drawing."""
    from PIL import Image

    smaller = io.BytesIO()
    with Image.open(content) as image:
        reduced = image.convert("RGB").quantize(
            256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
        )
        # The background stays white; quantisation gives nearly white.
        palette = reduced.getpalette() or []
        colors = (palette[start : start + 3] for start in range(0, len(palette), 3))
        reduced.putpalette([part for c in colors for part in ([255] * 3 if min(c) > 250 else c)])
        reduced.save(smaller, "png", dpi=(dots_per_inch, dots_per_inch))
    return smaller.getvalue()
