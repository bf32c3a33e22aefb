"""Fidelity: the student's epistemic uncertainty against the teacher's, example by example."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from distillation_bench.bench.figures.axis_scales import set_ticks
from distillation_bench.bench.figures.figure_data import FigureData
from distillation_bench.bench.figures.panels import Drawing, LegendEntries, Panels
from distillation_bench.bench.figures.registry import NoData, figure
from distillation_bench.bench.figures.style import FAINT, GREY, INK
from distillation_bench.bench.figures.text_fit import wrap

KIND = "fidelity/"
FLAT = 1e-6
"""A single network has one function: its epistemic uncertainty is 0 up to rounding."""
RING: dict[str, Any] = {
    "marker": "o",
    "markersize": 2.4,
    "markerfacecolor": "none",
    "markeredgewidth": 0.4,
}
DOT: dict[str, Any] = {"marker": ".", "markersize": 2.2}
MARKERS = (RING, DOT)
"""Markers of two sets: a grey ring, and a dot in the label's colour, which may be grey, too."""


@figure(
    "fidelity",
    "epistemic uncertainty of students against the teacher's (--on), with Spearman's ρ",
    "students with epistemic uncertainty, and curves beside the cells",
)
def draw_fidelity(data: FigureData) -> Drawing:
    """Draw a panel for each student with the diagonal; the test set and one OOD set."""
    stored = data.arrays_of_one_seed().items()
    arrays = {k: own for k, own in stored if k not in data.results.references}
    sets = data.sets_with(KIND, arrays.values())[:2]
    complete = {
        label: [own[f"{KIND}{name}"] for name in sets]
        for label, own in arrays.items()
        if sets and all(f"{KIND}{name}" in own for name in sets)
    }
    pairs = {k: p for k, p in complete.items() if any(s.max() > FLAT * t.max() for s, t in p)}
    flat = [label for label in complete if label not in pairs]
    if not pairs:
        reason = "no student has epistemic uncertainty"
        raise NoData(reason if flat else "no pairs of a student's and the teacher's uncertainty")
    correlations = _correlations(data, {name for own in arrays.values() for name in own})
    height = 1.5 + 0.12 * len(correlations.columns)
    panels = Panels(data, len(pairs), width=1.1, height=height, most=6, sharex=True, sharey=True)
    limits, width = _limits(pairs.values()), panels.panel_width
    for axes, (label, pair) in zip(panels, pairs.items(), strict=True):
        _draw_panel(axes, pair, data.styles[label].color, limits)
        rows = correlations.reindex([label]).iloc[0].items()
        lines = [f"ρ {_rounded(value)} {name.removeprefix('ood:')}" for name, value in rows]
        if panels.given is None:
            axes.set_title("\n".join([wrap(label, width, 2), *(wrap(k, width, 1) for k in lines)]))
    unit = f"[{data.uncertainty_unit}] (log)"
    panels.label(f"teacher {unit}", f"student {unit}")
    text = "epistemic uncertainty of the same inputs, at most 500; ρ: Spearman's of all inputs"
    text += "; values below the axes' least are on them"
    text += f"; without epistemic uncertainty: {', '.join(flat)}" if flat else ""
    return panels.finish(
        f"Fidelity to the teacher on {data.dataset}",
        _alt_text(data, sets, correlations.loc[correlations.index.isin([*pairs])]),
        data.note_of_one_seed(text, [*complete, *data.results.references]),
        _legend(sets),
    )


def _correlations(data: FigureData, arrays: Iterable[str]) -> pd.DataFrame:
    """Return the recorded rank correlations of the seed, by label and set; nan if undefined."""
    names = sorted(name.removeprefix(KIND) for name in arrays if name.startswith(KIND))
    columns = {}
    for name in sorted(names, key=lambda name: name != "test"):
        values = data.results.values(f"teacher_spearman@{name}", optional=True)
        rows = values[values["id"].isin(data.of_one_seed["id"])]
        columns[name] = rows.set_index("label")["value"]
    return pd.DataFrame(columns, dtype=float)


def _draw_panel(
    axes: Axes, pairs: Sequence[np.ndarray], color: str, limits: tuple[float, float]
) -> None:
    low, high = limits
    axes.plot(limits, limits, color=FAINT, linewidth=0.8, zorder=0)
    for (student, teacher), marker in zip(pairs, MARKERS[-len(pairs) :], strict=True):
        edge = color if marker is DOT else GREY
        points = np.clip([teacher, student], low, high)
        axes.plot(*points, linestyle="none", color=edge, alpha=0.6, rasterized=True, **marker)
    axes.set(xscale="log", yscale="log", xlim=(low / 1.4, high * 1.4), ylim=(low / 1.4, high * 1.4))
    set_ticks(axes.xaxis, 2)
    set_ticks(axes.yaxis, 3)


def _limits(pairs: Iterable[Sequence[np.ndarray]]) -> tuple[float, float]:
    """Return the largest value, and the least one but at most four decades below it."""
    values = np.concatenate([array.ravel() for pair in pairs for array in pair])
    high = float(values.max())
    return max(float(values[values > 0].min()), high * 1e-4), high


def _rounded(value: float) -> str:
    """Return a correlation as text; constants have none."""
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}") if math.isfinite(value) else "–"


def _legend(sets: Sequence[str]) -> LegendEntries:
    ring = Line2D([], [], color=GREY, linestyle="none", **RING | {"markersize": 3})
    dot = Line2D([], [], color=INK, linestyle="none", **DOT | {"markersize": 4})
    last = (dot, f"{sets[-1]}, in the method's colour")
    return [last] if len(sets) == 1 else [(ring, sets[0]), last]


def _alt_text(data: FigureData, sets: Sequence[str], correlations: pd.DataFrame) -> str:
    alt = f"Epistemic uncertainty of students against the teacher's on {' and '.join(sets)} of "
    alt += f"{data.dataset}, with the diagonal."
    for name, values in correlations.items():
        if values.notna().sum() > 1:
            best = values.idxmax()
            alt += f" Rank correlation on {name} is highest for {best} ({values[best]:.2f})."
    return alt
