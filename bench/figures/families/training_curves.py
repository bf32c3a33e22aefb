"""Training curves of every loss term."""

from __future__ import annotations

import math

import numpy as np

from distillation_bench.bench.figures.axes import fit, scale_of, ticks
from distillation_bench.bench.figures.dataset_view import NoData, View
from distillation_bench.bench.figures.panels import evenly, panels
from distillation_bench.bench.figures.request import Drawn
from distillation_bench.bench.figures.style import COLUMN, PAGE, clean

OTHER = ("stage", "epoch", "learning_rate", "gradient_norm")
COLUMNS = 4
POINTS = 100

Terms = dict[str, np.ndarray]


def training(view: View) -> list[Drawn]:
    """A panel a term, a line a method: the mean over seeds, epoch by epoch."""
    found = {
        label: [_of_cell(view, label, seed) for seed in view.seeds(label)] for label in view.labels
    }
    found = {label: [each for each in runs if each] for label, runs in found.items()}
    found = {label: runs for label, runs in found.items() if runs}
    if not found:
        raise NoData("no training was logged")
    terms = list(dict.fromkeys(term for runs in found.values() for each in runs for term in each))
    columns = evenly(len(terms), COLUMNS)
    page = panels(
        len(terms),
        columns,
        1.15,
        COLUMN if columns == 1 else PAGE,
        left=0.6,
        between=(0.45, 0.3),
        keys=[view.look.key(label) for label in found],
        note=view.note(
            "terms before weighting, loss is their weighted sum; mean over seeds; stages follow "
            "each other, members are averaged",
            {label: len(runs) for label, runs in found.items()},
        ),
    )
    ends: dict[str, float] = {}
    for axes, term in zip(page.axes, terms, strict=True):
        every = []
        for place, (label, runs) in enumerate(found.items()):
            lines = [each[term] for each in runs if term in each]
            if not lines:
                continue
            length = min(map(len, lines))
            mean = np.mean([line[:length] for line in lines], 0)
            if term == "loss":
                ends[label] = float(mean[-1])
            step = max(1, length // POINTS)
            style = view.look[label]
            x = np.arange(1, length + 1)[::step]
            axes.plot(
                x,
                mean[::step],
                color=style.color,
                linestyle=style.dashes,
                marker=style.marker,
                markevery=(3 * place % 20, 25),
                markersize=2.5,
                linewidth=0.8,
            )
            every.append(mean[np.isfinite(mean)])
        fit(axes, "y", np.concatenate(every).tolist())
        ticks(axes.yaxis)
        axes.set_title(f"{clean(term)}{scale_of(axes, 'y')}")
        ticks(axes.xaxis)
    page.share(y=False)
    page.name_axes("epoch", "before weighting")
    alt = f"Training curves of {', '.join(terms)} on {view.dataset} for {', '.join(found)}."
    if ends:
        alt += (
            " Last loss: "
            + ", ".join(f"{label} {value:.3g}" for label, value in ends.items())
            + "."
        )
    return [view.drawn("training", f"Training on {view.dataset}", alt, page.figure)]


def _of_cell(view: View, label: str, seed: int) -> Terms:
    """The terms of a cell's training; none if its history isn't one."""
    try:
        return _terms(view.history(label, seed))
    except (AttributeError, KeyError, TypeError, ValueError):
        return view.leave_out(view.slot(label, seed), "history")


def _terms(rows: list[dict[str, str]]) -> Terms:
    """Each term's values by epoch; members that were trained in pieces are averaged."""
    stages: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        # Pieces of the teacher run beside each other, stages of a student one after another.
        stages.setdefault(row["stage"], []).append(row)
    names = list(dict.fromkeys(name for row in rows for name in row if name not in OTHER))
    found: Terms = {}
    for name in names:
        parts = [
            np.array([float(row[name] or math.nan) for row in each]) for each in stages.values()
        ]
        beside = all(stage.startswith("members") for stage in stages)
        found[name] = np.mean(parts, 0) if beside else np.concatenate(parts)
    return found
