"""Ablations: variants of a method that differ in one parameter only, joined by lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from distillation_bench.bench.analysis.metric_info import MetricFormat
from distillation_bench.bench.common.hashing import canonical_json
from distillation_bench.bench.common.text import natural_key
from distillation_bench.bench.figures.axis_scales import (
    CUT,
    draw_means,
    scale_suffix,
    set_limits,
    set_ticks,
)
from distillation_bench.bench.figures.figure_data import (
    FigureData,
    describe_below_chance,
    describe_intervals,
    with_unit,
)
from distillation_bench.bench.figures.panels import Drawing, Panels
from distillation_bench.bench.figures.registry import NoData, figure
from distillation_bench.bench.figures.style import GREY, INK
from distillation_bench.bench.figures.text_fit import wrap

METRICS = ("nll", "ood_auroc", "teacher_tv_epistemic")
MAX_SWEEPS = 5
SYMBOLS = {"lam": "λ"}
"""Parameters that papers write with a symbol."""


@dataclass(frozen=True)
class Sweep:
    """A parameter of a method with its values as text, in order.

    Attributes:
        groups: variants that differ in nothing else, as label by value.
    """

    method: str
    parameter: str
    values: Sequence[str]
    groups: Sequence[Mapping[str, str]]


@figure(
    "ablation",
    "metrics against parameters such as λ, b and the number of heads",
    "variants of a method that differ in one parameter only",
)
def draw_ablation(data: FigureData) -> Drawing:
    """Draw a column for each parameter of a method and a row for each metric."""
    metrics = data.metrics(METRICS)
    sweeps = _sweeps(data)[:MAX_SWEEPS]
    if not sweeps:
        raise NoData("no two variants of a method differ in one parameter alone")
    swept = {label for sweep in sweeps for group in sweep.groups for label in group.values()}
    labels = [label for label in data.labels if label in swept]
    rows = [data.printed_means(metric) for metric in metrics]
    rows = [(shown, means[means.index.isin(labels)]) for shown, means in rows]
    below = data.below_chance(metrics)
    count = len(sweeps)
    panels = Panels(data, len(rows) * count, width=1.3, height=1.15, columns=count, sharey="row")
    cut = False
    for index, axes in enumerate(panels):
        (shown, means), sweep = rows[index // count], sweeps[index % count]
        cut |= _draw_panel(axes, data, sweep, shown, means)
        if index < count:
            panels.title(axes, sweep.method, 1)
        if panels.is_left(index):
            color = GREY if shown.metric in below else INK
            name = wrap(f"{shown.header}{scale_suffix(axes, 'y')}", 1.0)
            axes.set_ylabel(name, color=color)
        if panels.is_bottom(index):
            axes.set_xlabel(wrap(SYMBOLS.get(sweep.parameter, sweep.parameter), 1.3))
    counts = {k: max(int(means["n"].get(k, 0)) for _, means in rows) for k in labels}
    text = "lines join variants that differ in nothing else; values equally spaced"
    text = describe_intervals(counts, text, describe_below_chance(below), CUT if cut else "")
    return panels.finish(
        f"Ablation on {data.dataset}",
        _alt_text(data, sweeps, rows),
        data.note(text, counts, labels, metrics),
        data.legend(labels, line=False),
    )


def _alt_text(
    data: FigureData, sweeps: Sequence[Sweep], rows: Sequence[tuple[MetricFormat, pd.DataFrame]]
) -> str:
    names = ", ".join(shown.name for shown, _ in rows)
    parameters = ", ".join(f"{sweep.parameter} of {sweep.method}" for sweep in sweeps)
    alt = f"{names} on {data.dataset} against {parameters}."
    shown, means = rows[0]
    detection = data.below_chance([shown.metric]).get(shown.metric)
    if best := data.best_student(means, shown.better, detection):
        mean = with_unit(shown, means["mean"][best])
        alt += f" The best mean {shown.name} is that of {best} ({mean})."
    return alt


def _sweeps(data: FigureData) -> list[Sweep]:
    """Return each parameter of a method in which alone some of its variants differ."""
    sweeps = []
    first = data.planned.drop_duplicates("label")
    for method, cells in first.groupby("method", observed=True):
        described = (data.results.manifest["cells"][cell] for cell in cells["id"])
        variants = {k: v["parameters"] for k, v in zip(cells["label"], described, strict=True)}
        for parameter in dict.fromkeys(name for own in variants.values() for name in own):
            if groups := _groups(variants, parameter):
                values = sorted({value for group in groups for value in group}, key=_sort_key)
                sweeps.append(Sweep(str(method), parameter, values, groups))
    return sweeps


def _groups(variants: Mapping[str, Mapping[str, Any]], parameter: str) -> list[dict[str, str]]:
    """Return groups of at least two variants that differ in a parameter only, label by value."""
    groups: dict[str, dict[str, str]] = {}
    for label, parameters in variants.items():
        others = canonical_json({k: v for k, v in parameters.items() if k != parameter})
        groups.setdefault(others, {})[_value_text(parameters.get(parameter))] = label
    return [group for group in groups.values() if len(group) > 1]


def _draw_panel(
    axes: Axes, data: FigureData, sweep: Sweep, shown: MetricFormat, means: pd.DataFrame
) -> bool:
    """Draw a metric against a parameter; return whether something is beyond the axis."""
    ends = means[["low", "high"]].to_numpy().ravel()
    is_cut = set_limits(axes, "y", means["mean"], ends, data.possible_values(shown), 10)
    for index, group in enumerate(sweep.groups):
        # Groups stand side by side, or their intervals would hide each other.
        aside = min(0.12, 0.5 / len(sweep.groups)) * (index - (len(sweep.groups) - 1) / 2)
        points = {
            group[value]: at + aside
            for at, value in enumerate(sweep.values)
            if group.get(value) in means.index
        }
        axes.plot([*points.values()], means["mean"].reindex([*points]), color=GREY, zorder=0)
        for label, x in points.items():
            style = data.styles[label]
            marker: dict[str, Any] = {"marker": style.marker, "markersize": 4.5}
            draw_means(axes, "y", [x], means.loc[[label]], style.color, **marker)
    axes.set_xlim(-0.5, len(sweep.values) - 0.5)
    axes.set_xticks(range(len(sweep.values)), [wrap(value, 0.6) for value in sweep.values])
    set_ticks(axes.yaxis, 3)
    low, high = axes.get_ylim()
    return is_cut or bool((means["low"].lt(low) | means["high"].gt(high)).any())


def _value_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"{value:g}"
    return "none" if value is None else str(value)


def _sort_key(text: str) -> tuple[bool, float, Any]:
    """Sort numbers in ascending order, then words."""
    try:
        return False, float(text), ()
    except ValueError:
        return True, 0.0, natural_key(text)
