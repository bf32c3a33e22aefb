"""Differences to a baseline with their intervals: a row a method, a panel a dataset or a metric."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from distillation_bench.bench.analysis.comparison import Comparison, compare
from distillation_bench.bench.analysis.metric_info import MetricInfo
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.figures.axis_scales import draw_means, set_rows
from distillation_bench.bench.figures.figure_data import FigureData
from distillation_bench.bench.figures.panels import Drawing, LegendEntries, Panels
from distillation_bench.bench.figures.registry import NoData, figure
from distillation_bench.bench.figures.style import GREY, even_columns, page_widths
from distillation_bench.bench.figures.text_fit import text_width, wrap

LINE_HEIGHT, LABEL_WIDTH, PANEL_WIDTH = 0.12, 1.6, 1.05
BETTER = {"lower": "← better", "higher": "better →"}
HOLLOW: dict[str, Any] = {"markerfacecolor": "w", "markeredgewidth": 0.9}
MARKERS: dict[str, dict[str, Any]] = {
    "statistically distinguishable": {"marker": "o", "markersize": 4.5},
    "not statistically distinguishable": {"marker": "o", "markersize": 4, **HOLLOW},
    "a bound, not tested": {"marker": "|", "markersize": 5, "markeredgewidth": 1.2},
}


Panel = tuple[Comparison, str, pd.DataFrame]
"""A metric, a dataset, and the printed differences by label."""


@figure(
    "forest",
    "differences to --baseline, by default KD, with intervals, filled where distinguishable",
    "two methods on the same seeds",
    over_datasets=True,
)
def draw_forest(data: FigureData) -> Iterator[Drawing]:
    """Draw a figure for each metric, a panel for each dataset; of one dataset all its metrics."""
    if data.options.seed is not None:
        raise NoData("one seed has no interval")
    datasets = data.results.select_datasets(data.options.datasets)
    if len(datasets) == 1:
        yield _draw(data, data.metrics(data.results.headline_metrics), datasets, datasets[0])
    else:
        for metric in data.metrics(["nll"]):
            yield _draw(data, [metric], datasets, str(metric) if data.options.metrics else "")


def _draw(
    data: FigureData, metrics: Sequence[MetricInfo], datasets: Sequence[str], part: str
) -> Drawing:
    baseline = data.options.baseline or _default_baseline(data)
    found, remarks = _compare(data, metrics, datasets, baseline)
    tables = pd.concat([table for _, _, table in found])
    labels = [label for label in data.labels if label in tables.index]
    names = [wrap(label, LABEL_WIDTH, lines=2) for label in labels]
    panels, room = _panels(data, len(found), names)
    for axes, (comparison, dataset, table) in zip(panels, found, strict=True):
        panels.scale(axes, "x", table, values=[0, *table["mean"]], linear=True)
        _draw_panel(axes, data, labels, table)
        set_rows(axes, names, [row for row, k in enumerate(labels) if k not in table.index])
        title = f"{comparison.format.title} − {baseline}'s"
        arrow = BETTER.get(comparison.metric.better and comparison.format.better, "")
        axes.set_xlabel(f"{wrap(title, room)}\n{arrow}")
        panels.title(axes, dataset if len(datasets) > 1 else "", 1)
    counts = tables.groupby(level=0, observed=True)["n"].min()
    note = data.note(
        {label: int(counts[label]) for label in labels},
        f"mean difference to {baseline} on the same seeds, 95 % t interval",
        "sign-flip tests at .05 with Holm's correction",
        *remarks,
        panels.cut,
        labels=[label for label in data.labels if label != baseline],
    )
    subjects = " and ".join(comparison.format.name for comparison, _, _ in found[:: len(datasets)])
    signs = tables[["tested", "distinguishable"]]
    return panels.finish(
        f"Differences to {baseline} in {subjects}",
        _alt_text(found, baseline),
        note,
        _legend(signs),
        part,
    )


def _panels(data: FigureData, count: int, names: Sequence[str]) -> tuple[Panels, float]:
    """Return panels whose rows have names, and about the width of one beside them in inches."""
    widest = 0.3 + max(text_width(line) for name in names for line in name.split("\n"))
    lines = max(name.count("\n") + 1 for name in names)
    most = (page_widths(data.options.width)[1] - widest) / PANEL_WIDTH
    columns = even_columns(count, min(4, most))
    width = PANEL_WIDTH + widest / columns
    height = (LINE_HEIGHT * lines + 0.05) * len(names) + 0.75
    panels = Panels(data, count, width=width, height=height, columns=columns, sharey=True)
    return panels, panels.panel_width - (widest - 0.3) / columns


def _default_baseline(data: FigureData) -> str:
    """Return the first variant of KD or, without one, the first student."""
    students = [label for label in data.labels if label not in data.results.references]
    of_kd = (label for label in students if data.results.methods[label] == "kd")
    return next(of_kd, next(iter(students or data.labels)))


def _compare(
    data: FigureData, metrics: Sequence[MetricInfo], datasets: Sequence[str], baseline: str
) -> tuple[list[Panel], list[str]]:
    """Return what is in each panel, and remarks on what is not shown or not possible."""
    found: list[Panel] = []
    remarks: list[str] = []
    needed = 0
    for metric in metrics:
        try:
            comparison = compare(data.results, str(metric), baseline, labels=data.options.labels)
        except UsageError as reason:
            remarks.append(str(reason))
            continue
        pairs = comparison.printed.set_index("first")
        for dataset in datasets:
            if len(table := pairs[pairs["dataset"].eq(dataset)]):
                found.append((comparison, dataset, table))
                needed = max(needed, int(comparison.datasets["seeds_needed"][dataset]))
        left_out = {**comparison.not_comparable, **comparison.below_chance}.items()
        remarks += [comparison.note.rstrip(".")] if comparison.note else []
        name = comparison.format.name
        remarks += [f"no {name} on {k}: {reason}" for k, reason in left_out if k in datasets]
    if not found:
        raise NoData("; ".join(dict.fromkeys(remarks)) or "nothing to compare")
    if needed:
        remarks.append(f"with fewer than {needed} seeds no two are statistically distinguishable")
    return found, remarks


def _draw_panel(axes: Axes, data: FigureData, labels: Sequence[str], table: pd.DataFrame) -> None:
    axes.axvline(0, color=GREY, linewidth=0.7, zorder=1)
    for row, label in enumerate(labels):
        if label in table.index:
            means, color = table.loc[[label]], data.styles[label].color
            marker = MARKERS[_sign(means["tested"].iloc[0], means["distinguishable"].iloc[0])]
            draw_means(axes, "x", [row], means, color, 1.0, **{"markeredgecolor": color} | marker)


def _sign(is_tested: bool, is_distinguishable: bool) -> str:
    return [*MARKERS][2 if not is_tested else 0 if is_distinguishable else 1]


def _legend(pairs: pd.DataFrame) -> LegendEntries:
    shown = {_sign(*row) for row in pairs.itertuples(index=False)}
    settings = {"color": GREY, "linestyle": "none"}
    return [(Line2D([], [], **settings | m), k) for k, m in MARKERS.items() if k in shown]


def _alt_text(found: Sequence[Panel], baseline: str) -> str:
    alt = f"Differences to {baseline}, with a line at 0."
    for comparison, dataset, table in found:
        different = table[table["distinguishable"]]["mean"]
        texts = [f"{k} {comparison.format.text(mean)}" for k, mean in different.items()]
        name = f"{comparison.format.title} on {dataset}"
        alt += f" {name}: distinguishable {', '.join(texts) or 'none'}."
    return alt
