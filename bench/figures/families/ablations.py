"""Ablations: variants of a method that differ in one parameter alone, joined by lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from distillation_bench.bench.analysis.metric_formats import Quantity
from distillation_bench.bench.analysis.statistics import Interval
from distillation_bench.bench.common.hashing import canonical_json
from distillation_bench.bench.figures.axes import fit, intervals, scale_of, ticks
from distillation_bench.bench.figures.dataset_view import (
    NoData,
    View,
    chance_words,
    interval,
    over_seeds,
    range_of,
)
from distillation_bench.bench.figures.panels import panels
from distillation_bench.bench.figures.request import Drawn
from distillation_bench.bench.figures.style import COLUMN, GREY, INK, PAGE, clean, wrapped

METRICS = ("nll", "ood_auroc", "teacher_tv_epistemic")
COLUMNS = 5
SIGNS = {"lam": "λ"}
"""Of parameters that papers write with a sign."""


@dataclass(frozen=True)
class Sweep:
    """A method's parameter, its values, and the groups of labels that differ in nothing else."""

    method: str
    name: str
    values: Sequence[str]
    groups: Sequence[Mapping[str, str]]


def ablation(view: View) -> list[Drawn]:
    """A column a parameter of a method, a row a metric."""
    metrics = view.metrics(METRICS)
    sweeps = _sweeps(view)[:COLUMNS]
    if not sweeps:
        raise NoData("no two variants of a method differ in one parameter alone")
    labels = [x for x in view.labels if any(x in g.values() for s in sweeps for g in s.groups)]
    rows = [view.quantity(metric) for metric in metrics]
    of_chance = view.of_chance(metrics)
    lines = "lines join variants that differ in nothing else; values equally spaced"
    counts = {label: max(len(each.get(label, {})) for _, each in rows) for label in labels}
    page = panels(
        len(rows) * len(sweeps),
        len(sweeps),
        0.95,
        COLUMN if len(sweeps) <= 2 and len(labels) <= 12 else PAGE,
        left=0.5,
        between=(0.12, 0.12),
        bottom=0.45,
        keys=[view.look.key(label, line=False) for label in labels],
        note=view.note(
            over_seeds(counts, "; ".join(filter(None, (lines, chance_words(of_chance))))),
            counts,
            labels,
        ),
    )
    for index, axes in enumerate(page.axes):
        how, found = rows[index // len(sweeps)]
        sweep = sweeps[index % len(sweeps)]
        _panel(axes, view, sweep, how, {k: interval(v) for k, v in found.items() if k in labels})
        if index < len(sweeps):
            axes.set_title(clean(sweep.method))
        if page.is_left(index):
            color = GREY if how.metric in of_chance else INK
            axes.set_ylabel(f"{clean(how.header)}{scale_of(axes, 'y')}", color=color)
        if page.is_bottom(index):
            axes.set_xlabel(clean(SIGNS.get(sweep.name, sweep.name)))
    page.share()
    how, found = rows[0]
    compared = {k: v for k, v in found.items() if k in labels}
    best = view.best(compared, how.better, of_chance.get(how.metric))
    value = how.text(interval(found[best]).mean) if best else ""
    alt = (
        f"{', '.join(h.name for h, _ in rows)} on {view.dataset} against "
        f"{', '.join(f'{s.name} of {s.method}' for s in sweeps)}."
        + (f" The best mean {how.name} has {best} ({value})." if best else "")
    )
    return [view.drawn("ablation", f"Ablation on {view.dataset}", alt, page.figure)]


def _sweeps(view: View) -> list[Sweep]:
    methods: dict[str, dict[str, Mapping[str, Any]]] = {}
    for (dataset, label, _), cell in view.results.cells.items():
        if dataset == view.dataset and label in view.labels:
            methods.setdefault(cell["method"], {})[label] = cell["parameters"]
    found = []
    for method, variants in methods.items():
        for name in dict.fromkeys(name for each in variants.values() for name in each):
            groups: dict[str, dict[str, str]] = {}
            for label, each in variants.items():
                rest = canonical_json({k: v for k, v in each.items() if k != name})
                groups.setdefault(rest, {})[_text(each.get(name))] = label
            joined = [group for group in groups.values() if len(group) > 1]
            if joined:
                values = {value for group in joined for value in group}
                found.append(Sweep(method, name, sorted(values, key=_order), joined))
    return found


def _panel(
    axes: Axes, view: View, sweep: Sweep, how: Quantity, means: Mapping[str, Interval]
) -> None:
    ends = [end for each in means.values() for end in (each.low, each.high)]
    fit(axes, "y", [each.mean for each in means.values()], ends, range_of(how))
    for index, group in enumerate(sweep.groups):
        # Side by side, or their intervals would hide each other.
        beside = min(0.12, 0.5 / len(sweep.groups)) * (index - (len(sweep.groups) - 1) / 2)
        points = [
            (sweep.values.index(v) + beside, group[v])
            for v in sweep.values
            if v in group and group[v] in means
        ]
        axes.plot(
            [x for x, _ in points],
            [means[k].mean for _, k in points],
            color=GREY,
            linewidth=0.8,
            zorder=0,
        )
        for x, label in points:
            style, each = view.look[label], means[label]
            intervals(axes, "y", [x], [each], style.color)
            axes.plot(
                [x], [each.mean], style.marker, color=style.color, markersize=4.5, markeredgewidth=0
            )
    axes.set_xlim(-0.5, len(sweep.values) - 0.5)
    axes.set_xticks(range(len(sweep.values)), [wrapped(v, 0.6) for v in sweep.values])
    ticks(axes.yaxis, 3)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return (
        f"{value:g}"
        if isinstance(value, (int, float))
        else str(value if value is not None else "none")
    )


def _order(text: str) -> tuple[bool, float, str]:
    """Numbers ascending, then words."""
    try:
        return False, float(text), ""
    except ValueError:
        return True, 0.0, text
