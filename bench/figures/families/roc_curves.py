"""ROC curves of distinguishing OOD inputs from the test set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from distillation_bench.bench.figures.axis_scales import set_ticks
from distillation_bench.bench.figures.figure_data import FigureData, seed_counts
from distillation_bench.bench.figures.panels import Drawing, Panels
from distillation_bench.bench.figures.registry import NoData, figure
from distillation_bench.bench.figures.shown_metrics import ShownMetric, describe_best, describe_grey
from distillation_bench.bench.figures.style import FAINT
from distillation_bench.bench.figures.text_fit import wrap
from distillation_bench.bench.metrics.uncertainties import UNCERTAINTIES

DEFAULT_SCORE = "total"
SCORES = {name: f"{name} uncertainty" for name in UNCERTAINTIES}


@figure("roc", "detection of OOD inputs, with AUROC", "OOD sets")
def draw_roc(data: FigureData) -> Drawing:
    """Draw a panel for each OOD set, a line for each label; the legend is sorted by AUROC."""
    score = _score(data)
    rocs = {name: data.arrays_of_seeds(f"roc/{score}/{name}") for name in _sets(data, score)}
    aurocs = {name: _auroc(data, score, name, cells) for name, cells in rocs.items()}
    count = len(rocs)
    height = 2.2 if count == 1 else 1.65
    panels = Panels(data, count, width=1.6, height=height, most=4, sharex=True, sharey=True)
    for axes, (name, cells) in zip(panels, rocs.items(), strict=True):
        _draw_panel(axes, data, cells)
        panels.title(axes, name.removeprefix("ood:"), 1, color=aurocs[name].color)
    panels.label("FPR (test inputs flagged)", "TPR (OOD inputs found)")
    sizes = (cells.groupby("label", observed=True).size().to_frame("n") for cells in rocs.values())
    counts = seed_counts(sizes, _sorted(data, aurocs))
    by = SCORES.get(score, score)
    text = f"OOD by {by}" + (", mean and range of the seeds" if max(counts.values()) > 1 else "")
    order = " in the order of panels" if count > 1 else ""
    why_grey = describe_grey(aurocs.values())
    alt = f"ROC curves of detecting {', '.join(rocs)} against the test set of {data.dataset} by "
    alt += f"{by}.{describe_best(aurocs.values())}" + (f" In {why_grey}." if why_grey else "")
    return panels.finish(
        f"OOD detection on {data.dataset}",
        alt,
        data.note(counts, text, f"legend: mean AUROC [%]{order}", why_grey),
        [_legend_entry(data, label, aurocs, panels.width) for label in counts],
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
    stored = data.arrays_of_one_seed().values()
    found = {n.removeprefix(prefix) for names in stored for n in names if n.startswith(prefix)}
    sets = sorted(name for name in found if name in (data.options.sets or found))
    if not sets:
        raise NoData(f"no ROC of {score}")
    return sets


def _auroc(data: FigureData, score: str, name: str, cells: pd.DataFrame) -> ShownMetric:
    """Return the AUROC of the cells that have a curve."""
    metric = data.results.metric(f"ood_auroc:{score}@{name}")
    values = data.values(metric)
    return data.shown(metric, values[values["id"].isin(cells["id"])])


def _draw_panel(axes: Axes, data: FigureData, cells: pd.DataFrame) -> None:
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8)
    groups = cells.groupby("label", observed=True)["array"]
    for position, (label, arrays) in enumerate(groups):
        curves, style = np.stack([*arrays]), data.styles[str(label)]
        rates = np.linspace(0, 1, curves.shape[1])
        if len(curves) > 1:
            band: dict[str, Any] = {
                "color": style.color,
                "alpha": min(0.15, 1 / len(groups)),
                "linewidth": 0,
            }
            axes.fill_between(rates, curves.min(0), curves.max(0), **band)
        marks = 5 + 7 * position % 40, 50
        axes.plot(rates, curves.mean(0), **style.line, markevery=marks, markersize=3)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02))
    set_ticks(axes.xaxis)
    set_ticks(axes.yaxis)


def _sorted(data: FigureData, aurocs: Mapping[str, ShownMetric]) -> list[str]:
    """Return labels by mean AUROC over sets, the largest first; those without a value are last."""
    means = {name: shown.means["mean"] for name, shown in aurocs.items() if not shown.why_grey}
    table = pd.DataFrame(means, index=data.labels)
    order = table.mean(axis=1, skipna=False).sort_values(ascending=False, kind="stable")
    return [*order.index]


def _legend_entry(
    data: FigureData, label: str, aurocs: Mapping[str, ShownMetric], width: float
) -> tuple[Artist, str]:
    """Return a label's entry with its AUROC values; a long label is cut, never a value."""
    means = [(shown.format, shown.means["mean"]) for shown in aurocs.values()]
    values = "/".join(f.text(mean[label]) if label in mean.index else "–" for f, mean in means)
    return data.styles[label].handle(), f"{wrap(label, width / 2 - 0.5)}  {values}"
