"""A metric against the severity of shifts."""

from __future__ import annotations

import re

import numpy as np
from matplotlib.axes import Axes

from bench.analysis.plots.look import COLUMN, PAGE, evenly, fit, panels, ticks, wrapped
from bench.analysis.plots.view import ByLabel, Drawn, NoData, View, interval, over_seeds
from bench.analysis.quantities import quantity
from bench.analysis.results import Metric

COLUMNS = 5

Severities = dict[int, ByLabel]


def shift(view: View) -> list[Drawn]:
    """A figure a metric, a panel a shift; severity 0 is the test set as it is."""
    names = view.options.metrics or ("nll",)
    return [_figure(view, name) for name in names]


def _figure(view: View, name: str) -> Drawn:
    metric = view.results.metric(name.partition("@")[0])
    shifts = _by_shift(view, metric)
    if not shifts:
        raise NoData(f"no {metric.name} on shifted test sets")
    how = quantity(metric, [])
    labels = [
        each for each in view.labels if any(each in f for s in shifts.values() for f in s.values())
    ]
    counts = {
        label: max(len(found.get(label, {})) for each in shifts.values() for found in each.values())
        for label in labels
    }
    columns = evenly(len(shifts), COLUMNS)
    page = panels(
        len(shifts),
        columns,
        1.3 if columns < 4 else 0.95,
        COLUMN if columns <= 2 else PAGE,
        between=(0.1, 0.24),
        keys=[view.look.key(label) for label in labels],
        note=view.note(over_seeds(counts, "severity 0 is the test set"), counts),
    )
    means: dict[str, list[float]] = {label: [] for label in labels}
    for axes, (kind, severities) in zip(page.axes, shifts.items(), strict=True):
        _panel(axes, view, labels, severities, how.of, means)
        axes.set_title(wrapped(kind, axes.get_position().width * page.figure.get_figwidth(), 1))
    _scales(page.axes, means)
    page.share()
    page.name_axes("severity", how.header)
    worst = {
        label: max(values) if how.better == "lower" else min(values)
        for label, values in means.items()
    }
    best = view.best(worst, how.better)
    alt = (
        f"{how.name} of {', '.join(labels)} on {view.dataset} against the severity of "
        f"{', '.join(shifts)}."
    )
    if best:
        value = f"{how.text(worst[best])} {how.unit}".rstrip()
        alt += f" In the worst case {best} keeps the best mean ({value})."
    title = f"{how.name} under shift on {view.dataset}"
    return view.drawn("shift", title, alt, page.figure, metric.name if view.options.metrics else "")


def _by_shift(view: View, metric: Metric) -> dict[str, Severities]:
    """Figures by shift and severity, with the test set's as severity 0."""
    found: dict[str, Severities] = {}
    for (kind, severity), values in view.material.shifted(metric.name).items():
        by_label = view.of_cells(values)
        if by_label:
            found.setdefault(kind, {})[severity] = by_label
    plain = view.of_cells(view.material.values(view.results.metric(f"{metric.name}@test")))
    return {
        kind: {0: plain, **dict(sorted(each.items()))}
        for kind, each in sorted(found.items(), key=_natural)
    }


def _natural(item: tuple[str, object]) -> list[tuple[int, str]]:
    """Numbers within names in their order."""
    return [
        (int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", item[0])
    ]


def _panel(
    axes: Axes,
    view: View,
    labels: list[str],
    severities: Severities,
    of: object,
    means: dict[str, list[float]],
) -> None:
    assert callable(of)
    for place, label in enumerate(labels):
        style = view.look[label]
        x = [severity for severity, found in severities.items() if label in found]
        each = [interval({s: of(v) for s, v in severities[at][label].items()}) for at in x]
        # Side by side, or their intervals would hide each other.
        beside = np.array(x) + (place / max(1, len(labels) - 1) - 0.5) * 0.3
        axes.vlines(
            beside, [i.low for i in each], [i.high for i in each], color=style.color, linewidth=0.6
        )
        axes.plot(
            beside,
            [i.mean for i in each],
            color=style.color,
            linestyle=style.dashes,
            marker=style.marker,
            markersize=2.5,
            linewidth=0.8,
        )
        means[label] += [i.mean for i in each]
    axes.set_xticks(sorted(severities))


def _scales(every: list[Axes], means: dict[str, list[float]]) -> None:
    for axes in every:
        fit(axes, "y", [value for row in means.values() for value in row])
        ticks(axes.yaxis)
