"""Selective prediction: the error of the inputs that remain without the most uncertain ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from distillation_bench.bench.analysis.chance_level import TEACHER
from distillation_bench.bench.figures.axis_scales import set_ticks
from distillation_bench.bench.figures.figure_data import (
    FigureData,
    describe_intervals,
    seed_counts,
)
from distillation_bench.bench.figures.panels import Drawing, LegendEntries, Panels
from distillation_bench.bench.figures.registry import NoData, figure
from distillation_bench.bench.figures.shown_metrics import best_student, seed_means
from distillation_bench.bench.figures.style import GREY

KIND = "selective/"
ORDERS: dict[str, dict[str, Any]] = {
    "random order": {"color": GREY, "linestyle": ":"},
    "ideal order": {"color": GREY, "linestyle": "-."},
}
SHOWN_AT = 80
"""Coverage in percent at which the text compares methods."""


@figure(
    "selective",
    "error against coverage without the most uncertain inputs (--on), with random and ideal order",
    "classes, in a run of this version",
)
def draw_selective(data: FigureData) -> Drawing:
    """Draw a panel for each set, by default the test set: a line with its band for each label."""
    stored = data.arrays_of_one_seed().values()
    names = {name for arrays in stored for name in arrays}
    if names and not any(name.startswith(KIND) for name in names):
        is_old = any(name.startswith("reliability/") for name in names)
        raise NoData("the run was made before these curves were stored" if is_old else "no classes")
    tables = {name: _risks(data, name) for name in data.sets_with(KIND, stored)}
    if not tables:
        raise NoData("no curves are stored")
    panels = Panels(data, len(tables), width=1.6 if len(tables) > 1 else 2.4, height=2.0)
    for axes, (name, risks) in zip(panels, tables.items(), strict=True):
        _draw_panel(axes, data, risks)
        panels.title(axes, name if set(tables) != {"test"} else "", 1)
    panels.label("coverage [%]", "error [%] ↓")
    counts = seed_counts(tables.values(), data.labels)
    legend: LegendEntries = data.legend(counts)
    for handle, _ in legend:
        handle.set(marker="")
    has_orders = any(_teacher_error(data, risks) is not None for risks in tables.values())
    if has_orders:
        legend = [*legend, *((Line2D([], [], **line), name) for name, line in ORDERS.items())]
    return panels.finish(
        f"Error against coverage on {data.dataset}",
        _alt_text(data, tables),
        data.note(
            counts,
            describe_intervals(counts),
            "error of the inputs with the lowest total uncertainty",
            "random and ideal order: of the teacher's errors" if has_orders else "",
        ),
        legend,
    )


def _risks(data: FigureData, name: str) -> pd.DataFrame:
    """Return means of the error in percent with intervals, by label and coverage in percent."""
    cells = data.arrays_of_seeds(f"{KIND}{name}")
    columns = {
        "label": cells["label"].repeat(100),
        "coverage": np.tile(np.arange(1, 101), len(cells)),
        "value": 100.0 * np.concatenate([*cells["array"]]),
    }
    return seed_means(pd.DataFrame(columns), ["label", "coverage"], possible=(0, 100))


def _draw_panel(axes: Axes, data: FigureData, risks: pd.DataFrame) -> None:
    axes.set(xlim=(0, 100), ylim=(-0.02 * risks["mean"].max(), 1.15 * risks["mean"].max() or 1))
    coverage, error = np.arange(1, 101), _teacher_error(data, risks)
    if error is not None:
        random, ideal = np.full(100, error), (100 * (coverage - 100 + error) / coverage).clip(0)
        for curve, line in zip((random, ideal), ORDERS.values(), strict=True):
            axes.plot(coverage, curve, zorder=0, **line)
    for label in risks.index.unique("label"):
        style, means = data.styles[label], risks.loc[label]
        axes.plot(coverage, means["mean"], color=style.color, linestyle=style.dashes)
        band: dict[str, Any] = {"color": style.color, "alpha": 0.1, "linewidth": 0, "zorder": 1}
        axes.fill_between(coverage, means["low"], means["high"], **band)
    set_ticks(axes.xaxis)
    set_ticks(axes.yaxis)


def _teacher_error(data: FigureData, risks: pd.DataFrame) -> float | None:
    """Return the teacher's mean error on all inputs; None if it is not shown."""
    shown = risks.index.unique("label")
    own = (float(risks["mean"][k, 100]) for k in shown if data.results.methods[k] == TEACHER)
    return next(own, None)


def _alt_text(data: FigureData, tables: Mapping[str, pd.DataFrame]) -> str:
    alt = f"Error against coverage on {data.dataset}."
    for name, risks in tables.items():
        means = risks.xs(SHOWN_AT, level="coverage")
        if best := best_student(means, "lower", data.results.references):
            value = f"{means['mean'][best]:.2f} %"
            alt += f" On {name} at {SHOWN_AT} % coverage, {best} has the lowest ({value})."
    return alt
