"""ROC curves of distinguishing OOD inputs from the test set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from distillation_bench.bench.analysis.chance_level import TeacherDetection
from distillation_bench.bench.figures.axis_scales import set_ticks
from distillation_bench.bench.figures.figure_data import FigureData, seed_means
from distillation_bench.bench.figures.panels import Drawing, Panels
from distillation_bench.bench.figures.registry import NoData, figure
from distillation_bench.bench.figures.stored_curves import with_arrays
from distillation_bench.bench.figures.style import FAINT, GREY, INK
from distillation_bench.bench.figures.text_fit import wrap
from distillation_bench.bench.metrics.uncertainties import UNCERTAINTIES

DEFAULT_SCORE = "total"
SCORES = {name: f"{name} uncertainty" for name in UNCERTAINTIES}

Rocs = Mapping[str, Mapping[int, np.ndarray]]
"""By label and seed, the TPR at rising FPR."""
Means = Mapping[str, pd.DataFrame]
"""By OOD set, the mean AUROC over seeds by label; see `seed_means`."""


@figure("roc", "detection of OOD inputs, with AUROC", "OOD sets")
def draw_roc(data: FigureData) -> Drawing:
    """Draw a panel for each OOD set, a line for each label; the legend is sorted by AUROC."""
    score = _score(data)
    sets = _sets(data, score)
    rocs = {name: data.array_of_seeds(f"roc/{score}/{name}") for name in sets}
    metrics = {name: data.results.metric(f"ood_auroc:{score}@{name}") for name in sets}
    below = {m.set: detection for m, detection in data.below_chance(metrics.values()).items()}
    aurocs = {
        name: seed_means(with_arrays(data.values(metrics[name]), rocs[name])) for name in sets
    }
    height = 2.2 if len(sets) == 1 else 1.65
    panels = Panels(data, len(sets), width=1.6, height=height, most=4, sharex=True, sharey=True)
    for axes, name in zip(panels, sets, strict=True):
        _draw_panel(axes, data, rocs[name])
        color = GREY if name in below else INK
        panels.title(axes, name.removeprefix("ood:"), 1, color=color)
    panels.label("FPR (test inputs flagged)", "TPR (OOD inputs found)")
    labels = _sorted(data, aurocs, [name for name in sets if name not in below])
    counts = {k: max(len(rocs[name].get(k, ())) for name in sets) for k in labels}
    text = f"OOD by {SCORES.get(score, score)}"
    text += ", mean and range of the seeds" if max(counts.values()) > 1 else ""
    text += "; legend: mean AUROC [%]" + (" in the order of panels" if len(sets) > 1 else "")
    return panels.finish(
        f"OOD detection on {data.dataset}",
        _alt_text(data, score, aurocs, below),
        data.note(f"{text}{_describe(below)}", counts),
        [_legend_entry(data, label, aurocs, panels.width) for label in labels],
    )


def _score(data: FigureData) -> str:
    """Return the score of a selected metric such as `ood_auroc:epistemic`, else the default."""
    for selector in data.options.metrics:
        metric, _, score = selector.partition("@")[0].partition(":")
        if metric == "ood_auroc" and score:
            return score
    return DEFAULT_SCORE


def _sets(data: FigureData, score: str) -> list[str]:
    """Return the OOD sets for which there are ROC curves and that are selected."""
    prefix = f"roc/{score}/"
    curves = data.curves_of_one_seed().values()
    found = {name.removeprefix(prefix) for c in curves for name in c if name.startswith(prefix)}
    sets = sorted(name for name in found if name in (data.options.sets or found))
    if not sets:
        raise NoData(f"no ROC of {score}")
    return sets


def _draw_panel(axes: Axes, data: FigureData, rocs: Rocs) -> None:
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8)
    for position, label in enumerate(label for label in data.labels if label in rocs):
        curves, style = np.array([*rocs[label].values()]), data.styles[label]
        rates = np.linspace(0, 1, curves.shape[1])
        if len(curves) > 1:
            ends = curves.min(0), curves.max(0)
            axes.fill_between(rates, *ends, color=style.color, alpha=min(0.15, 1 / len(rocs)), lw=0)
        marks = 5 + 7 * position % 40, 50
        axes.plot(rates, curves.mean(0), **style.line, markevery=marks, markersize=3)
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    set_ticks(axes.xaxis)
    set_ticks(axes.yaxis)


def _sorted(data: FigureData, means: Means, sets: Sequence[str]) -> list[str]:
    """Return labels by mean AUROC over sets, the largest first; those without a value are last."""
    table = pd.DataFrame({name: means[name]["mean"] for name in sets}, index=data.labels)
    present = set().union(*(table.index for table in means.values()))
    order = table.mean(axis=1, skipna=False).sort_values(ascending=False, kind="stable").index
    return [label for label in order if label in present]


def _describe(below_chance: Mapping[str, TeacherDetection]) -> str:
    """Return on which sets no label is best, to follow another sentence."""
    if not below_chance:
        return ""
    sets = (f"on {name.removeprefix('ood:')} {d.reason}" for name, d in below_chance.items())
    return f". Grey titles, none is best: {'; '.join(sets)}"


def _alt_text(
    data: FigureData, score: str, means: Means, below: Mapping[str, TeacherDetection]
) -> str:
    alt = (
        f"ROC curves of detecting {', '.join(means)} against the test set of {data.dataset} by "
        f"{SCORES.get(score, score)}."
    )
    first = next(iter(means))
    if best := data.best_student(means[first], "higher", below.get(first)):
        value = _percent(means[first], best)
        alt += f" On {first} the student with the largest mean AUROC is {best} ({value} %)."
    return alt + (f"{_describe(below)}." if below else "")


def _legend_entry(data: FigureData, label: str, means: Means, width: float) -> tuple[Artist, str]:
    """Return a label's entry with its AUROC values; a long label is cut, never a value."""
    values = "/".join(_percent(table, label) for table in means.values())
    return data.styles[label].handle(), f"{wrap(label, width / 2 - 0.5)}  {values}"


def _percent(means: pd.DataFrame, label: str) -> str:
    return f"{100 * means['mean'][label]:.2f}" if label in means.index else "–"
