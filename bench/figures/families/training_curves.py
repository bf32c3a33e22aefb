"""Training: validation and every term of the loss by epoch; the total loss method by method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from distillation_bench.bench.analysis.metric_info import metric_format
from distillation_bench.bench.figures.axis_scales import scale_suffix, set_limits, set_ticks
from distillation_bench.bench.figures.figure_data import FigureData
from distillation_bench.bench.figures.panels import Drawing, Panels
from distillation_bench.bench.figures.registry import NoData, figure

NOT_TERMS = ("stage", "epoch", "learning_rate", "gradient_norm", "label", "seed", "ends")
"""Columns that are not terms of the loss."""
MAX_POINTS = 500


@figure("training", "validation and terms of the loss by epoch", "logged training")
def draw_training(data: FigureData) -> Drawing:
    """Draw a panel for each term, a line for each label: the mean over seeds by epoch.

    The total losses of methods are different quantities: each method has a panel of its own.
    """
    cells = data.done.sort_values(["label", "seed"])
    histories = [
        history.assign(label=label, seed=seed)
        for label, seed, cell in zip(cells["label"], cells["seed"], cells["id"], strict=True)
        if len(history := by_epoch(data.history(cell)))
    ]
    if not histories:
        raise NoData("no training was logged")
    table = pd.concat(histories)
    counts = table.groupby("label", sort=False)["seed"].nunique().to_dict()
    contents = _panels(data, table)
    panels = Panels(data, len(contents), width=1.5, height=1.4)
    for axes, (title, lines) in zip(panels, contents.items(), strict=True):
        _draw_panel(axes, data, lines, list(counts))
        panels.title(axes, f"{_title(data, title)}{scale_suffix(axes, 'y')}")
    panels.label("epoch")
    text = (
        "mean over seeds; terms before weighting, the loss is their weighted sum, another one for "
        "each method, and left out where it is one term; dotted: the next stage begins; members "
        "are averaged"
    )
    alt = f"Training on {data.dataset} for {', '.join(counts)}: {', '.join(contents)} by epoch."
    last = {k: v.iloc[-1] for k, v in _means(table, "loss").items()} if "loss" in table else {}
    if last:
        alt += f" Last loss: {', '.join(f'{label} {loss:.3g}' for label, loss in last.items())}."
    note = data.note(counts, text)
    return panels.finish(f"Training on {data.dataset}", alt, note, data.legend(counts))


def _title(data: FigureData, term: str) -> str:
    """Return a term as written, and `validation NLL [nats]` for a metric on validation."""
    metric = data.find_metric(term.removeprefix("validation_"))
    is_validation = metric is not None and term.startswith("validation_")
    return f"validation {metric_format(metric).title}" if metric and is_validation else term


def by_epoch(history: pd.DataFrame) -> pd.DataFrame:
    """Return a history by epoch from 1, with the `ends` of stages marked.

    Members that were trained in pieces are averaged, since they run side by side; stages of a
    student run one after another.
    """
    if history.empty or history["stage"].str.startswith("members").all():
        terms = history.drop(columns="stage", errors="ignore")
        epochs = terms.groupby("epoch").mean() if len(terms) else terms
    else:
        epochs = history.assign(ends=history["stage"].ne(history["stage"].shift(-1)))
        epochs = epochs.drop(columns="epoch")
    return epochs.assign(epoch=range(1, len(epochs) + 1))


Lines = Mapping[str, tuple[pd.Series, Sequence[int]]]
"""By label the mean of a term by epoch, and the epochs at which stages end."""


def _panels(data: FigureData, table: pd.DataFrame) -> Mapping[str, Lines]:
    """Return the lines of each panel by title: validation first, the losses last."""
    terms = [name for name in table if name not in NOT_TERMS]
    shared = sorted((t for t in terms if t != "loss"), key=lambda t: "validation" not in t)
    ends = table[table["ends"].eq(True)] if "ends" in table else table.iloc[:0]
    marks = {k: sorted(set(e))[:-1] for k, e in ends.groupby("label", sort=False)["epoch"]}
    panels: dict[str, dict[str, Any]] = {}
    panels |= {t: {k: (m, marks.get(k, ())) for k, m in _means(table, t).items()} for t in shared}
    for label, mean in (_means(table, "loss") if "loss" in terms else {}).items():
        own = [lines[label][0] for lines in panels.values() if label in lines]
        if any(np.allclose(mean, term, equal_nan=True) for term in own if len(term) == len(mean)):
            continue
        title = f"loss of {data.results.methods[label]}"
        panels.setdefault(title, {})[label] = mean, marks.get(label, ())
    return panels


def _means(table: pd.DataFrame, term: str) -> dict[str, pd.Series]:
    """Return the mean of a term over seeds by epoch, of each label that has it."""
    cells = table.pivot(index="epoch", columns=["label", "seed"], values=term)
    cells, means = cells.dropna(axis=1, how="all"), {}
    for label in filter(cells.columns.unique("label").__contains__, table["label"].unique()):
        # Epochs that not all seeds have would be means of others.
        length = int(cells[label].apply(pd.Series.last_valid_index).min())
        means[str(label)] = cells[label].loc[:length].mean(axis=1, skipna=False)
    return means


def _draw_panel(axes: Axes, data: FigureData, lines: Lines, labels: Sequence[str]) -> None:
    values = pd.concat([mean for mean, _ in lines.values()])
    set_limits(axes, "y", values, linear=bool(values.lt(0).any()))
    for label, (mean, ends) in lines.items():
        style = data.styles[label]
        # Validation is measured in some epochs only.
        measured = mean.dropna()
        shown = measured.iloc[:: max(1, len(measured) // MAX_POINTS)]
        every = 3 * labels.index(label) % 20, max(25, len(shown) // 4)
        axes.plot(shown.index, shown, **style.line | {"markersize": 2.5}, markevery=every)
        for end in ends:
            axes.axvline(end + 0.5, color=style.color, linewidth=0.5, linestyle=":", zorder=0)
    set_ticks(axes.yaxis)
    set_ticks(axes.xaxis)
