"""ROC curves of distinguishing OOD inputs from the test set."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from distillation_bench.bench.analysis.old_chance_level import (
    TeacherDetection,
    teacher_detection,
    teacher_labels,
)
from distillation_bench.bench.figures.old.appearance.axis_scales import set_ticks
from distillation_bench.bench.figures.old.appearance.colors import FAINT, GREY, INK
from distillation_bench.bench.figures.old.appearance.layout import (
    NoData,
    PanelGrid,
    Spacing,
    panel_grid,
)
from distillation_bench.bench.figures.old.appearance.style import COLUMN, PAGE
from distillation_bench.bench.figures.old.appearance.text_fit import text_width, wrap
from distillation_bench.bench.figures.old.dataset_data import DatasetData, LabelValues
from distillation_bench.bench.figures.old.figure_types import DrawnFigure
from distillation_bench.bench.figures.old.notes import note_over_seeds
from distillation_bench.bench.figures.stored_curves import values_on_set
from distillation_bench.bench.metrics.uncertainties import UNCERTAINTIES

MAX_COLUMNS = 4
MAX_SIDE = 2.2
DEFAULT_SCORE = "total"
SCORES = {name: f"{name} uncertainty" for name in UNCERTAINTIES}

LabelRocs = Mapping[str, Mapping[int, np.ndarray]]
"""By label and seed, the share of OOD inputs found at rising shares of test inputs flagged."""


def draw_roc(data: DatasetData) -> list[DrawnFigure]:
    """Draw a panel for each OOD set, a line for each label; the legend has the AUROC values."""
    score = _score(data)
    sets = _sets(data, score)
    rocs = {name: data.array_of_seeds(f"roc/{score}/{name}") for name in sets}
    aurocs = {name: _aurocs(data, rocs[name], name, score) for name in sets}
    detections = {name: _teacher_detection(data, name, score) for name in sets}
    below_chance = {name: d for name, d in detections.items() if d.is_below_chance}
    grid, side = _layout(data, score, rocs, [*aurocs.values()], below_chance)
    for axes, (name, label_rocs) in zip(grid.axes, rocs.items(), strict=True):
        _draw_panel(axes, data, label_rocs)
        title = wrap(name.removeprefix("ood:"), side, 1)
        axes.set_title(title, color=GREY if name in below_chance else INK)
        set_ticks(axes.xaxis)
        set_ticks(axes.yaxis)
    grid.share_scales()
    grid.label_axes("test inputs flagged (share)", "OOD inputs found (share)")
    alt = (
        f"ROC curves of detecting {', '.join(sets)} against the test set of {data.dataset} by "
        f"{SCORES.get(score, score)}."
    )
    first = sets[0]
    if best := data.best_student(aurocs[first], "higher", detections[first]):
        value = _percent(aurocs[first], best)
        alt += f" On {first} the student with the largest mean AUROC is {best} ({value} %)."
    alt += f"{_describe(below_chance)}." if below_chance else ""
    return [data.finish("roc", f"OOD detection on {data.dataset}", alt, grid.figure)]


def _score(data: DatasetData) -> str:
    """Return the score of a selected metric such as `ood_auroc:epistemic`, else the default."""
    for selector in data.options.metrics:
        metric, _, score = selector.partition("@")[0].partition(":")
        if metric == "ood_auroc" and score:
            return score
    return DEFAULT_SCORE


def _sets(data: DatasetData, score: str) -> list[str]:
    """Return the OOD sets for which there are ROC curves and that are selected."""
    curves = [data.curves(label, data.seed) for label in data.labels]
    names = (name for arrays in curves for name in arrays if name.startswith(f"roc/{score}/"))
    sets = sorted({name.split("/")[2] for name in names})
    sets = [name for name in sets if not data.options.sets or name in data.options.sets]
    if not sets:
        raise NoData(f"no ROC of {score}")
    return sets


def _layout(
    data: DatasetData,
    score: str,
    rocs: Mapping[str, LabelRocs],
    aurocs: Sequence[LabelValues],
    below_chance: Mapping[str, TeacherDetection],
) -> tuple[PanelGrid, float]:
    """Return the panels, and the width of one before it is limited."""
    first = next(iter(rocs.values()))
    counts = {label: len(seeds) for label, seeds in first.items()}
    columns = min(MAX_COLUMNS, len(rocs))
    width = COLUMN if columns <= 2 else PAGE
    side = (width - 0.6 - (columns - 1) * 0.15) / columns
    order = " in the order of panels" if len(rocs) > 1 else ""
    text = f"OOD by {SCORES.get(score, score)}, mean over seeds; legend: mean AUROC [%]{order}"
    grid = panel_grid(
        len(rocs),
        columns,
        min(side, MAX_SIDE),
        width,
        spacing=Spacing(column_gap=0.15, row_gap=0.3),
        legend=[_legend_entry(data, label, aurocs, width) for label in counts],
        note=note_over_seeds(data, f"{text}{_describe(below_chance)}", counts),
    )
    return grid, side


def _draw_panel(axes: Axes, data: DatasetData, rocs: LabelRocs) -> None:
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8)
    for position, (label, seeds) in enumerate(rocs.items()):
        mean = np.mean([*seeds.values()], 0)
        style = data.styles[label]
        axes.plot(
            np.linspace(0, 1, len(mean)),
            mean,
            color=style.color,
            linestyle=style.dashes,
            marker=style.marker,
            markevery=(5 + 7 * position % 40, 50),
            markersize=3,
        )
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)


def _teacher_detection(data: DatasetData, set_name: str, score: str) -> TeacherDetection:
    """Return how the teacher detects a set, whether or not its label and seeds are selected."""
    results, teachers = data.results, teacher_labels(data.results.manifest)
    keys = (key for key in results.cells if key[0] == data.dataset and key[1] in teachers)
    records = (results.record(key) or {} for key in keys if results.statuses.get(key) == "done")
    return teacher_detection(
        values_on_set(record, set_name).get(f"ood_auroc:{score}", math.nan) for record in records
    )


def _describe(below_chance: Mapping[str, TeacherDetection]) -> str:
    """Return on which sets no label is best, to follow another sentence."""
    if not below_chance:
        return ""
    sets = (f"on {name.removeprefix('ood:')} {d.reason}" for name, d in below_chance.items())
    return f". Grey titles, none is best: {'; '.join(sets)}"


def _aurocs(
    data: DatasetData, labels: Mapping[str, Iterable[int]], set_name: str, score: str
) -> LabelValues:
    """Return the recorded AUROC of the labels' seeds that have one."""
    aurocs: dict[str, dict[int, float]] = {}
    for label, seeds in labels.items():
        for seed in seeds:
            auroc = values_on_set(data.record(label, seed), set_name).get(f"ood_auroc:{score}")
            if auroc is not None:
                aurocs.setdefault(label, {})[seed] = auroc
    return aurocs


def _legend_entry(
    data: DatasetData, label: str, aurocs: Sequence[LabelValues], width: float
) -> tuple[Artist, str]:
    """Return a label's entry with its AUROC values; a long label is cut, never a value."""
    values = "  " + " / ".join(_percent(label_values, label) for label_values in aurocs)
    available = width - 0.65 - text_width(values)
    return data.styles.legend_entry(label, text=wrap(label, max(available, 0.5), 1) + values)


def _percent(aurocs: LabelValues, label: str) -> str:
    return f"{100 * fmean(aurocs[label].values()):.2f}" if label in aurocs else "–"
