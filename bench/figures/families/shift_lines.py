"""A metric against the severity of shifts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from statistics import fmean

import numpy as np
from matplotlib.axes import Axes

from distillation_bench.bench.analysis.metric_formats import Quantity, quantity
from distillation_bench.bench.analysis.results import Metric
from distillation_bench.bench.analysis.statistics import Interval
from distillation_bench.bench.figures.axes import fit, intervals, scale_of, ticks
from distillation_bench.bench.figures.dataset_view import (
    ByLabel,
    NoData,
    View,
    chance_words,
    interval,
    over_seeds,
    range_of,
)
from distillation_bench.bench.figures.panels import evenly, panels
from distillation_bench.bench.figures.request import Drawn
from distillation_bench.bench.figures.style import COLUMN, PAGE, clean, wrapped

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
    of_chance = view.of_chance([metric])
    said = "; ".join(filter(None, ("severity 0 is the test set", chance_words(of_chance))))
    page = panels(
        len(shifts),
        columns,
        1.3 if columns < 4 else 0.95,
        COLUMN if columns <= 2 else PAGE,
        between=(0.1, 0.24),
        keys=[view.look.key(label) for label in labels],
        note=view.note(over_seeds(counts, said), counts),
    )
    panel_means = [_means(labels, each, how) for each in shifts.values()]
    every = {
        label: [span for each in panel_means for span in each[label].values()] for label in labels
    }
    for axes, kind, severities, means in zip(
        page.axes, shifts, shifts.values(), panel_means, strict=True
    ):
        spans = [span.mean for each in every.values() for span in each]
        fit(axes, "y", spans, within=range_of(how))
        _panel(axes, view, means)
        axes.set_xticks(sorted(severities))
        ticks(axes.yaxis)
        axes.set_title(wrapped(kind, axes.get_position().width * page.figure.get_figwidth(), 1))
    page.share()
    page.name_axes("severity", f"{clean(how.header)}{scale_of(page.axes[0], 'y')}")
    worst = {label: _worst(label, shifts, how) for label in labels}
    best = view.best(worst, how.better, of_chance.get(how.metric))
    alt = (
        f"{how.name} of {', '.join(labels)} on {view.dataset} against the severity of "
        f"{', '.join(shifts)}."
    )
    if best:
        value = f"{how.text(fmean(worst[best].values()))} {how.unit}".rstrip()
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
    plain = view.of_cells(view.material.values(view.results.metric(metric.name)))
    return {
        kind: {0: plain, **dict(sorted(each.items()))}
        for kind, each in sorted(found.items(), key=_natural)
    }


def _natural(item: tuple[str, object]) -> list[tuple[int, str]]:
    """Numbers within names in their order."""
    return [
        (int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", item[0])
    ]


def _means(
    labels: list[str], severities: Severities, how: Quantity
) -> dict[str, dict[int, Interval]]:
    """By label and severity, over seeds, as printed."""
    return {
        label: {
            severity: interval(_printed(found[label], how))
            for severity, found in severities.items()
            if label in found
        }
        for label in labels
    }


def _worst(label: str, shifts: dict[str, Severities], how: Quantity) -> Mapping[int, float]:
    """A label's figures where their mean is the worst, by seed."""
    every = [f[label] for each in shifts.values() for f in each.values() if label in f]
    pick = max if how.better == "lower" else min
    return pick((_printed(each, how) for each in every), key=lambda each: fmean(each.values()))


def _printed(values: Mapping[int, float], how: Quantity) -> dict[int, float]:
    return {seed: how.of(value) for seed, value in values.items()}


def _panel(axes: Axes, view: View, means: dict[str, dict[int, Interval]]) -> None:
    for place, (label, each) in enumerate(means.items()):
        style = view.look[label]
        # Side by side, or their intervals would hide each other.
        beside = np.array(list(each)) + (place / max(1, len(means) - 1) - 0.5) * 0.3
        intervals(axes, "y", beside.tolist(), list(each.values()), style.color, 0.6)
        axes.plot(
            beside,
            [span.mean for span in each.values()],
            color=style.color,
            linestyle=style.dashes,
            marker=style.marker,
            markersize=2.5,
            linewidth=0.8,
        )
