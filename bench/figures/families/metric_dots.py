"""Metrics as dots: every seed, the mean with its interval, the best student marked."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from distillation_bench.bench.analysis.bounds import bound_words, temperatures_at_bound
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
from distillation_bench.bench.figures.style import (
    COLUMN,
    DIM,
    FAINT,
    GREY,
    INK,
    PAGE,
    width_of,
    wrapped,
)

ROW = 0.16
LABELS = 1.8
COLUMNS = 4


def dots(view: View) -> list[Drawn]:
    """A panel a metric, a row a method; a figure for each set that was asked for."""
    if not view.options.sets:
        return [_figure(view, view.metrics(view.headlines))]
    figures = []
    for key in view.options.sets:
        names = [f"{name}@{key}" for name in view.headlines]
        metrics = [found for name in names if (found := view.known(name)) and view.finite(found)]
        if not metrics:
            raise NoData(f"no figures on {key}")
        figures.append(_figure(view, metrics, key))
    return figures


def _figure(view: View, metrics: Sequence[Metric], key: str = "") -> Drawn:
    columns = [view.quantity(metric) for metric in metrics]
    labels = [label for label in view.labels if any(label in found for _, found in columns)]
    names = [wrapped(label, LABELS, lines=1) for label in labels]
    widest = max(map(width_of, names))
    counts = {label: max(len(each.get(label, {})) for _, each in columns) for label in labels}
    across = evenly(len(metrics), COLUMNS)
    of_chance = view.of_chance(metrics)
    shown = [view.slot(label, seed) for label in labels for seed in view.seeds(label)]
    at_bound = temperatures_at_bound(view.results.rows)
    said = chance_words(of_chance), bound_words([each.name for each in metrics], shown, at_bound)
    page = panels(
        len(metrics),
        across,
        ROW * len(labels) + 0.08,
        COLUMN if across == 1 else PAGE,
        left=widest + 0.12,
        between=(0.2, 0.42),
        bottom=0.2,
        keys=_keys(),
        note=view.note(over_seeds(counts, "; ".join(filter(None, said))), counts),
    )
    sentences = []
    for index, (axes, (how, found)) in enumerate(zip(page.axes, columns, strict=True)):
        means = {label: interval(values) for label, values in found.items()}
        grey = how.metric in of_chance
        best = "" if grey else view.best(found, how.better)
        every = [value for values in found.values() for value in values.values()]
        ends = [end for each in means.values() for end in (each.low, each.high)]
        fit(axes, "x", every, ends, range_of(how))
        _panel(axes, view, labels, found, means, best, grey)
        room = axes.get_position().width * page.figure.get_figwidth()
        title = wrapped(f"{how.header}{scale_of(axes, 'x')}", room)
        axes.set_title(title, color=GREY if grey else INK)
        if page.is_left(index):
            axes.set_yticklabels(names)
        if best:
            sentences.append(
                f"{how.name}: {best} ({how.text(means[best].mean)} {how.unit}".rstrip() + ")"
            )
    alt = f"Figures of {', '.join(labels)} on {view.dataset}, every seed a dot."
    if sentences:
        alt += f" Best student means: {'; '.join(sentences)}."
    if of_chance:
        alt += f" In {chance_words(of_chance)}."
    where = f"{key} of {view.dataset}" if key else view.dataset
    return view.drawn("metrics", f"Metrics on {where}", alt, page.figure, key)


def _panel(
    axes: Axes,
    view: View,
    labels: list[str],
    found: ByLabel,
    means: dict[str, Interval],
    best: str,
    grey: bool,
) -> None:
    for row, label in enumerate(labels):
        if label not in found:
            axes.text(0.02, row, "–", va="center", color=GREY, transform=axes.get_yaxis_transform())
            continue
        style, values, mean = view.look[label], list(found[label].values()), means[label]
        color = DIM if grey else style.color
        axes.plot(
            values,
            [row + 0.3] * len(values),
            ".",
            color=color,
            markersize=2.6,
            markeredgewidth=0,
        )
        intervals(axes, "x", [row], [mean], color, 1.0)
        axes.plot(
            [mean.mean],
            [row],
            style.marker,
            color=color,
            markersize=6 if label == best else 4,
            markeredgecolor=INK if label == best else color,
            markeredgewidth=1.0 if label == best else 0.5,
            zorder=3,
        )
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_yticks(range(len(labels)), [""] * len(labels))
    axes.tick_params(axis="y", length=0)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=FAINT, linewidth=0.4)
    ticks(axes.xaxis, 3)


def _keys() -> list[tuple[Line2D, str]]:
    return [
        (Line2D([], [], color=GREY, marker=".", linestyle="none", markersize=4), "one seed"),
        (Line2D([], [], color=GREY, marker="o", markersize=4), "mean and interval"),
        (
            Line2D(
                [], [], color=GREY, marker="o", markeredgecolor=INK, markersize=6, linestyle="none"
            ),
            "best student mean",
        ),
    ]
