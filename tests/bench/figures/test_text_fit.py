"""Text fits its space, and no text leaves the page."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.text import Text
from tests.bench.figures.figure_runs import Make, a_run

from distillation_bench.bench.figures.drawing import draw_figures
from distillation_bench.bench.figures.panels import Drawing
from distillation_bench.bench.figures.style import FONT_SIZE, figure_style
from distillation_bench.bench.figures.text_fit import (
    MARGIN,
    text_width,
    wrap,
)


@pytest.mark.parametrize("count", [1, 2, 14])
def test_text_stays_on_the_page_and_is_large_enough(
    make_run: Make, tmp_path: Path, count: int
) -> None:
    labels = [f"method {i} with a rather long name" for i in range(count)]
    results = a_run(make_run, tmp_path / "run", labels, seeds=2)
    for drawing in draw_figures(results):
        with mpl.rc_context(figure_style()):
            drawing.figure.draw_without_rendering()
        width = drawing.figure.bbox.width
        for text in written(drawing):
            box = text.get_window_extent()
            assert float(text.get_fontsize()) >= FONT_SIZE
            assert box.x0 >= -1, (drawing.name, text.get_text())
            assert box.x1 <= width + 1, (drawing.name, text.get_text())


def written(drawing: Drawing) -> list[Text]:
    """Return the visible texts: matplotlib also keeps ticks beyond the ends of axes."""
    beyond = set()
    for axes in drawing.figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = axis.get_view_interval()
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not min(low, high) <= tick.get_loc() <= max(low, high):
                    beyond |= {id(tick.label1), id(tick.label2)}
    artists = [artist for artist in drawing.figure.findobj(Text) if isinstance(artist, Text)]
    return [t for t in artists if t.get_text() and t.get_visible() and id(t) not in beyond]


def test_text_is_wrapped_by_its_width() -> None:
    text = "hydra+[b=0.5,heads=20,lam=0]"
    for lines in (2, 3, 5):
        parts = wrap(text, 0.9, lines).split("\n")
        assert len(parts) <= lines
        assert all(text_width(part) <= 0.9 * MARGIN + text_width("…") for part in parts)
    assert wrap("short", 2.0) == "short"
    assert wrap(text, 0.9, 1).endswith("…")
