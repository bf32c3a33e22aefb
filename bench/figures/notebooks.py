"""Figures in notebooks."""

from __future__ import annotations

import sys

from matplotlib.figure import Figure

from distillation_bench.bench.figures.image_files import to_bytes

DOTS_PER_INCH = 144


def show_figures() -> None:
    """Let a notebook show the figures of matplotlib that pyplot has not made."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None:
        formatter = shell.display_formatter.formatters["image/png"]
        if Figure not in formatter:
            formatter.for_type(Figure, lambda figure: to_bytes(figure, "png", DOTS_PER_INCH))
