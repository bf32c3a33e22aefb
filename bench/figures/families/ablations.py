"""Ablations: variants of a method that differ in one parameter only, joined by lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes

from distillation_bench.bench.common.hashing import canonical_json
from distillation_bench.bench.common.text import natural_key
from distillation_bench.bench.figures.axis_scales import draw_means, scale_suffix
from distillation_bench.bench.figures.figure_data import FigureData, seed_counts
from distillation_bench.bench.figures.panels import Drawing, Panels
from distillation_bench.bench.figures.registry import NoData, figure
from distillation_bench.bench.figures.shown_metrics import describe_best
from distillation_bench.bench.figures.style import GREY
from distillation_bench.bench.figures.text_fit import wrap

METRICS = ("nll", "ood_auroc", "teacher_tv_epistemic")
MAX_SWEEPS = 5
SYMBOLS = {"lam": "λ"}
"""Parameters that papers write with a symbol."""


class Sweep(NamedTuple):
    """A parameter of a method, and groups of variants that differ in nothing else.

    A group has labels by the parameter's value, as text.
    """

    method: str
    parameter: str
    groups: Sequence[Mapping[str, str]]

    @property
    def values(self) -> list[str]:
        """All values, numbers in ascending order and then words."""
        return sorted({value for group in self.groups for value in group}, key=_sort_key)


@figure(
    "ablation",
    "metrics against parameters such as λ, b and the number of heads",
    "variants of a method that differ in one parameter only",
)
def draw_ablation(data: FigureData) -> Drawing:
    """Draw a column for each parameter of a method and a row for each metric."""
    metrics, sweeps = data.metrics(METRICS), [*_sweeps(data)][:MAX_SWEEPS]
    if not sweeps:
        raise NoData("no two variants of a method differ in one parameter alone")
    swept = {label for sweep in sweeps for group in sweep.groups for label in group.values()}
    labels = [label for label in data.labels if label in swept]
    rows, count = [data.shown(metric).of_labels(labels) for metric in metrics], len(sweeps)
    panels = Panels(data, len(rows) * count, width=1.3, height=1.15, columns=count, sharey="row")
    for index, axes in enumerate(panels):
        shown, sweep = rows[index // count], sweeps[index % count]
        panels.scale(axes, "y", shown.means, shown.possible, ticks=3, reach=10)
        _draw_panel(axes, data, sweep, shown.means)
        if index < count:
            panels.title(axes, sweep.method, 1)
        if panels.is_left(index):
            name = f"{shown.format.header}{scale_suffix(axes, 'y')}"
            axes.set_ylabel(wrap(name, 1.0), color=shown.color)
        if panels.is_bottom(index):
            axes.set_xlabel(wrap(SYMBOLS.get(sweep.parameter, sweep.parameter), 1.3))
    text = "lines join variants that differ in nothing else; values equally spaced"
    counts = seed_counts((shown.means for shown in rows), labels)
    parameters = ", ".join(f"{sweep.parameter} of {sweep.method}" for sweep in sweeps)
    names = ", ".join(shown.format.name for shown in rows)
    return panels.finish(
        f"Ablation on {data.dataset}",
        f"{names} on {data.dataset} against {parameters}.{describe_best(rows)}",
        data.note(counts, text, panels.cut, shown=rows, labels=labels),
        data.legend(labels, line=False),
    )


def _sweeps(data: FigureData) -> Iterator[Sweep]:
    """Yield each parameter of a method in which alone some of its variants differ."""
    for method, cells in data.planned.drop_duplicates("label").groupby("method", observed=True):
        described = (data.results.manifest["cells"][cell] for cell in cells["id"])
        variants = {k: v["parameters"] for k, v in zip(cells["label"], described, strict=True)}
        for parameter in dict.fromkeys(name for own in variants.values() for name in own):
            groups: dict[str, dict[str, str]] = {}
            for label, own in variants.items():
                others = canonical_json({k: v for k, v in own.items() if k != parameter})
                groups.setdefault(others, {})[_value_text(own.get(parameter))] = label
            if several := [group for group in groups.values() if len(group) > 1]:
                yield Sweep(str(method), parameter, several)


def _draw_panel(axes: Axes, data: FigureData, sweep: Sweep, means: pd.DataFrame) -> None:
    for index, group in enumerate(sweep.groups):
        # Groups stand side by side, or their intervals would hide each other.
        aside = min(0.12, 0.5 / len(sweep.groups)) * (index - (len(sweep.groups) - 1) / 2)
        places = {group[v]: at + aside for at, v in enumerate(sweep.values) if v in group}
        points = {label: x for label, x in places.items() if label in means.index}
        axes.plot([*points.values()], means["mean"].reindex([*points]), color=GREY, zorder=0)
        for label, x in points.items():
            style = data.styles[label]
            marker: dict[str, Any] = {"marker": style.marker, "markersize": 4.5}
            draw_means(axes, "y", [x], means.loc[[label]], style.color, **marker)
    axes.set_xlim(-0.5, len(sweep.values) - 0.5)
    axes.set_xticks(range(len(sweep.values)), [wrap(value, 0.6) for value in sweep.values])


def _value_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"{value:g}"
    return "none" if value is None else str(value)


def _sort_key(text: str) -> tuple[bool, float, Any]:
    try:
        return False, float(text), ()
    except ValueError:
        return True, 0.0, natural_key(text)
