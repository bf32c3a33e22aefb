"""Quality against cost, with the methods that none beats in both."""

from __future__ import annotations

import math
from collections.abc import Mapping

from matplotlib.axes import Axes

from distillation_bench.bench.analysis.statistics import Interval
from distillation_bench.bench.figures.axes import fit, intervals, scale_of, short_number, ticks
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
from distillation_bench.bench.figures.style import COLUMN, GREY, INK, PAGE, clean


def cost(view: View) -> list[Drawn]:
    """A figure a metric: against FLOPs, parameters and latency."""
    return [_figure(view, name) for name in view.options.metrics or ("nll",)]


def _figure(view: View, name: str) -> Drawn:
    metric = view.one_metric(name)
    how, found = view.quantity(metric)
    quality = {label: interval(values) for label, values in found.items()}
    costs = {what: each for what, each in _costs(view).items() if each.keys() & quality.keys()}
    if not costs:
        raise NoData("no cell has a cost")
    labels = list(quality)
    counts = {label: len(values) for label, values in found.items()}
    of_chance = view.of_chance([metric])
    said = chance_words(of_chance) or "grey: means that none beats in both"
    page = panels(
        len(costs),
        len(costs),
        1.5,
        COLUMN if len(costs) == 1 else PAGE,
        top=0.08,
        between=(0.15, 0.3),
        keys=[view.look.key(label, line=False) for label in labels],
        note=view.note(over_seeds(counts, said), counts),
    )
    front: list[str] = []
    for axes, (what, each) in zip(page.axes, costs.items(), strict=True):
        points = {k: (each[k], quality[k]) for k in labels if k in each}
        best = [] if of_chance else _front(points, how.better)
        front = front or best
        ends = [end for each in quality.values() for end in (each.low, each.high)]
        fit(axes, "y", [each.mean for each in quality.values()], ends, range_of(how))
        _panel(axes, view, points, best)
        axes.set_xlabel(f"{what}{scale_of(axes, 'x')}")
    page.share(x=False)
    color = GREY if of_chance else INK
    page.axes[0].set_ylabel(f"{clean(how.header)}{scale_of(page.axes[0], 'y')}", color=color)
    what = next(iter(costs))
    alt = f"{how.header} on {view.dataset} against {', '.join(costs)}."
    if of_chance:
        alt += f" In {said}."
    else:
        alt += f" By {what}, none is better in both than {', '.join(front)}."
    title = f"{how.name} against cost on {view.dataset}"
    return view.drawn("cost", title, alt, page.figure, metric.name if view.options.metrics else "")


def _costs(view: View) -> dict[str, dict[str, float]]:
    """By name with its unit, the mean over seeds of each label."""
    found = {}
    for name, what in (("flops", "FLOPs per example"), ("parameters", "parameters")):
        if metric := view.known(name):
            means = {k: interval(each).mean for k, each in view.finite(metric).items()}
            found[what] = means
    latency = {label: interval(times).mean for label, times in _latencies(view).items()}
    return {
        what: each for what, each in {**found, "latency, batch of 1 [ms]": latency}.items() if each
    }


def _latencies(view: View) -> dict[str, dict[int, float]]:
    """Milliseconds by label and seed, of the cells that measured it, whatever seeds are shown."""
    found: dict[str, dict[int, float]] = {}
    for (dataset, label, seed), told in view.results.told.items():
        if dataset == view.dataset and label in view.labels and told.latency:
            found.setdefault(label, {})[seed] = told.latency * 1e3
    return found


def _panel(
    axes: Axes, view: View, points: Mapping[str, tuple[float, Interval]], front: list[str]
) -> None:
    spread = [x for x, _ in points.values()]
    if max(spread) > 5 * min(spread):
        axes.set_xscale("log")
    ends = [points[label] for label in front]
    axes.plot(
        [x for x, _ in ends],
        [y.mean for _, y in ends],
        color=GREY,
        linewidth=0.8,
        zorder=0,
        drawstyle="steps-post",
    )
    for label, (x, y) in points.items():
        style = view.look[label]
        intervals(axes, "y", [x], [y], style.color, 0.6)
        axes.plot([x], [y.mean], style.marker, color=style.color, markersize=4.5, markeredgewidth=0)
    axes.margins(x=0.12)
    ticks(axes.xaxis, 3, short_number)
    ticks(axes.yaxis)


def _front(points: Mapping[str, tuple[float, Interval]], better: str) -> list[str]:
    """From the cheapest, each that is better than all cheaper ones."""
    sign = -1 if better == "higher" else 1
    best, front = math.inf, []
    for label, (_, y) in sorted(
        points.items(), key=lambda item: (item[1][0], sign * item[1][1].mean)
    ):
        if sign * y.mean < best:
            best = sign * y.mean
            front.append(label)
    return front
