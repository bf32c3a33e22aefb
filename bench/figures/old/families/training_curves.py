"""Training curves: every term of the loss by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from distillation_bench.bench.figures.old.appearance.axis_scales import (
    scale_suffix,
    set_limits,
    set_ticks,
)
from distillation_bench.bench.figures.old.appearance.layout import (
    NoData,
    Spacing,
    even_columns,
    panel_grid,
)
from distillation_bench.bench.figures.old.appearance.style import COLUMN, PAGE, LabelStyle
from distillation_bench.bench.figures.old.appearance.text_fit import drawable
from distillation_bench.bench.figures.old.dataset_data import DatasetData
from distillation_bench.bench.figures.old.figure_types import DrawnFigure
from distillation_bench.bench.figures.old.notes import note_over_seeds

NOT_TERMS = ("stage", "epoch", "learning_rate", "gradient_norm")
"""Columns of a history that are not terms of the loss."""
MAX_COLUMNS = 4
MAX_POINTS = 100

Terms = Mapping[str, np.ndarray]
"""Values of each term by epoch."""


def draw_training(data: DatasetData) -> list[DrawnFigure]:
    """Draw a panel for each term, a line for each label: the mean over seeds by epoch."""
    histories = {
        label: [t for seed in data.seeds(label) if (t := _terms_of_cell(data, label, seed))]
        for label in data.labels
    }
    histories = {label: seeds for label, seeds in histories.items() if seeds}
    if not histories:
        raise NoData("no training was logged")
    names = (name for seeds in histories.values() for history in seeds for name in history)
    terms = list(dict.fromkeys(names))
    columns = even_columns(len(terms), MAX_COLUMNS)
    text = (
        "terms before weighting, loss is their weighted sum; mean over seeds; stages follow each "
        "other, members are averaged"
    )
    grid = panel_grid(
        len(terms),
        columns,
        1.15,
        COLUMN if columns == 1 else PAGE,
        spacing=Spacing(left=0.6, column_gap=0.45, row_gap=0.3),
        legend=[data.styles.legend_entry(label) for label in histories],
        note=note_over_seeds(data, text, {k: len(seeds) for k, seeds in histories.items()}),
    )
    means = {term: _means(histories, term) for term in terms}
    for axes, term in zip(grid.axes, terms, strict=True):
        _draw_panel(axes, data, term, means[term], list(histories))
    grid.share_scales(y=False)
    grid.label_axes("epoch", "before weighting")
    alt = f"Training curves of {', '.join(terms)} on {data.dataset} for {', '.join(histories)}."
    if last := {label: mean[-1] for label, mean in means.get("loss", {}).items()}:
        alt += f" Last loss: {', '.join(f'{label} {loss:.3g}' for label, loss in last.items())}."
    return [data.finish("training", f"Training on {data.dataset}", alt, grid.figure)]


def _means(histories: Mapping[str, Sequence[Terms]], term: str) -> dict[str, np.ndarray]:
    """Return the mean of a term over seeds by epoch, of each label that has it."""
    means = {}
    for label, seeds in histories.items():
        lines = [terms[term] for terms in seeds if term in terms]
        if lines:
            length = min(map(len, lines))
            means[label] = np.mean([line[:length] for line in lines], 0)
    return means


def _draw_panel(
    axes: Axes,
    data: DatasetData,
    term: str,
    means: Mapping[str, np.ndarray],
    labels: Sequence[str],
) -> None:
    for label, mean in means.items():
        _draw_line(axes, mean, data.styles[label], labels.index(label))
    finite = [mean[np.isfinite(mean)] for mean in means.values()]
    set_limits(axes, "y", np.concatenate(finite).tolist())
    set_ticks(axes.yaxis)
    axes.set_title(f"{drawable(term)}{scale_suffix(axes, 'y')}")
    set_ticks(axes.xaxis)


def _draw_line(axes: Axes, mean: np.ndarray, style: LabelStyle, position: int) -> None:
    step = max(1, len(mean) // MAX_POINTS)
    axes.plot(
        np.arange(1, len(mean) + 1)[::step],
        mean[::step],
        color=style.color,
        linestyle=style.dashes,
        marker=style.marker,
        markevery=(3 * position % 20, 25),
        markersize=2.5,
        linewidth=0.8,
    )


def _terms_of_cell(data: DatasetData, label: str, seed: int) -> Terms:
    """Return the terms of a cell's training; empty if its history is not usable."""
    try:
        return _terms(data.history(label, seed))
    except (AttributeError, KeyError, TypeError, ValueError):
        data.leave_out(data.key(label, seed), "history")
        return {}


def _terms(rows: Sequence[Mapping[str, str]]) -> Terms:
    """Return the terms of a history; members that were trained in pieces are averaged."""
    stages: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        stages.setdefault(row["stage"], []).append(row)
    # Pieces of the teacher run side by side, stages of a student one after another.
    are_pieces = all(stage.startswith("members") for stage in stages)
    terms: dict[str, np.ndarray] = {}
    for name in dict.fromkeys(name for row in rows for name in row if name not in NOT_TERMS):
        parts = [
            np.array([float(row[name] or math.nan) for row in stage]) for stage in stages.values()
        ]
        terms[name] = np.mean(parts, 0) if are_pieces else np.concatenate(parts)
    return terms
