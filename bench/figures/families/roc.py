"""ROC of telling OOD inputs from the test set."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

import numpy as np
from matplotlib.artist import Artist

from distillation_bench.bench.analysis.below_chance import Standing, standing, teachers
from distillation_bench.bench.figures.axes import ticks
from distillation_bench.bench.figures.dataset_view import ByLabel, NoData, View, figures_on
from distillation_bench.bench.figures.panels import panels
from distillation_bench.bench.figures.request import Drawn
from distillation_bench.bench.figures.style import COLUMN, FAINT, GREY, INK, PAGE, width_of, wrapped
from distillation_bench.bench.metrics.uncertainties import UNCERTAINTIES

COLUMNS = 4
DEFAULT = "total"
SCORES = {name: f"{name} uncertainty" for name in UNCERTAINTIES}


def roc(view: View) -> list[Drawn]:
    """A panel an OOD set, a line a method; the legend has each set's AUROC."""
    score = _score(view)
    every = {label: view.curves(label, view.seed) for label in view.labels}
    sets = sorted(
        {k.split("/")[2] for c in every.values() for k in c if k.startswith(f"roc/{score}/")}
    )
    sets = [each for each in sets if not view.options.sets or each in view.options.sets]
    if not sets:
        raise NoData(f"no ROC of {score}")
    lines = {key: view.of_seeds(f"roc/{score}/{key}") for key in sets}
    counts = {label: len(seeds) for label, seeds in lines[sets[0]].items()}
    areas = {key: _areas(view, shown, key, score) for key, shown in lines.items()}
    standings = {key: _standing(view, key, score) for key in sets}
    below = {key: each for key, each in standings.items() if each.is_worse_than_chance}
    columns = min(COLUMNS, len(sets))
    width = COLUMN if columns <= 2 else PAGE
    side = (width - 0.6 - (columns - 1) * 0.15) / columns
    keys = [_key(view, label, list(areas.values()), width) for label in counts]
    page = panels(
        len(sets),
        columns,
        min(side, 2.2),
        width,
        between=(0.15, 0.3),
        keys=keys,
        note=view.note(
            f"OOD by {SCORES.get(score, score)}, mean over seeds; legend: mean AUROC [%]"
            f"{_order(sets)}{_chance(below)}",
            counts,
        ),
    )
    for axes, (key, shown) in zip(page.axes, lines.items(), strict=True):
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8)
        for place, (label, seeds) in enumerate(shown.items()):
            found = np.mean([each[f"roc/{score}/{key}"] for each in seeds.values()], 0)
            style = view.look[label]
            axes.plot(
                np.linspace(0, 1, len(found)),
                found,
                color=style.color,
                linestyle=style.dashes,
                marker=style.marker,
                markevery=(5 + 7 * place % 40, 50),
                markersize=3,
            )
        axes.set_xlim(0, 1.02)
        axes.set_ylim(0, 1.02)
        title = wrapped(key.removeprefix("ood:"), side, 1)
        axes.set_title(title, color=GREY if key in below else INK)
        for axis in (axes.xaxis, axes.yaxis):
            ticks(axis)
    page.share()
    page.name_axes("test inputs flagged (share)", "OOD inputs found (share)")
    first = sets[0]
    best = view.best(areas[first], "higher", standings[first])
    alt = (
        f"ROC curves of detecting {', '.join(sets)} against the test set of {view.dataset} by "
        f"{SCORES.get(score, score)}."
    )
    if best:
        value = _per_cent(areas[first], best)
        alt += f" On {first} the student with the largest mean AUROC is {best} ({value} %)."
    alt += f"{_chance(below)}." if below else ""
    return [view.drawn("roc", f"OOD detection on {view.dataset}", alt, page.figure)]


def _standing(view: View, key: str, score: str) -> Standing:
    """How the teacher itself does on a set, chosen or not."""
    results, own = view.results, teachers(view.results.manifest)
    slots = (slot for slot in results.cells if slot[0] == view.dataset and slot[1] in own)
    records = (results.record(slot) or {} for slot in slots if results.statuses.get(slot) == "done")
    return standing(figures_on(r, key).get(f"ood_auroc:{score}", math.nan) for r in records)


def _chance(below: Mapping[str, Standing]) -> str:
    """Of sets on which none is best, behind another sentence."""
    if not below:
        return ""
    where = (f"on {key.removeprefix('ood:')} {each.reason}" for key, each in below.items())
    return f". Grey titles, none is best: {'; '.join(where)}"


def _areas(view: View, shown: Mapping[str, Iterable[int]], key: str, score: str) -> ByLabel:
    """AUROC by label and seed, of records that have it."""
    found: dict[str, dict[int, float]] = {}
    for label, seeds in shown.items():
        for seed in seeds:
            figure = figures_on(view.record(label, seed), key).get(f"ood_auroc:{score}")
            if figure is not None:
                found.setdefault(label, {})[seed] = figure
    return found


def _key(view: View, label: str, areas: Sequence[ByLabel], width: float) -> tuple[Artist, str]:
    """A label with its areas: what doesn't fit is cut from the label, never from a figure."""
    figures = "  " + " / ".join(_per_cent(each, label) for each in areas)
    room = width - 0.65 - width_of(figures)
    return view.look.key(label, text=wrapped(label, max(room, 0.5), 1) + figures)


def _per_cent(found: ByLabel, label: str) -> str:
    return f"{100 * fmean(found[label].values()):.2f}" if label in found else "–"


def _score(view: View) -> str:
    """As in `--metric ood_auroc:epistemic`."""
    for name in view.options.metrics:
        metric, _, score = name.partition("@")[0].partition(":")
        if metric == "ood_auroc" and score:
            return score
    return DEFAULT


def _order(sets: list[str]) -> str:
    return " in the order of panels" if len(sets) > 1 else ""
