"""Every kind of figure by name. A new kind is added here, its function in `families`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from distillation_bench.bench.figures.old.dataset_data import DatasetData
from distillation_bench.bench.figures.old.families.reliability_diagrams import draw_reliability
from distillation_bench.bench.figures.old.families.roc_curves import draw_roc
from distillation_bench.bench.figures.old.families.uncertainty_histograms import draw_histograms
from distillation_bench.bench.figures.old.figure_types import DrawnFigure
from distillation_bench.bench.figures.old.run_data import RunData


@dataclass(frozen=True)
class FigureKind:
    """A kind of figure. One of the two functions is set.

    Attributes:
        summary: what it shows, in one line.
        needs: which results it needs.
        draw_dataset: draws the figures of one dataset.
        draw_all: draws figures over all datasets.
    """

    summary: str
    needs: str
    draw_dataset: Callable[[DatasetData], list[DrawnFigure]] | None = None
    draw_all: Callable[[RunData], list[DrawnFigure]] | None = None


FIGURE_KINDS = {
    "histograms": FigureKind(
        "the three uncertainties on evaluation sets (--on), over the teacher's",
        "curves beside the cells",
        draw_histograms,
    ),
    "reliability": FigureKind("accuracy against confidence (--on)", "classes", draw_reliability),
    "roc": FigureKind("detection of OOD inputs, with AUROC", "OOD sets", draw_roc),
}
