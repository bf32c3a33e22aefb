"""The families that are not yet ported, drawn from the former class of results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distillation_bench.bench.analysis.old_results import read
from distillation_bench.bench.figures.figure_data import FigureData
from distillation_bench.bench.figures.old.appearance.style import figure_style
from distillation_bench.bench.figures.old.dataset_data import DatasetData, file_name
from distillation_bench.bench.figures.old.figure_types import FigureOptions as OldOptions
from distillation_bench.bench.figures.old.registry import FIGURE_KINDS
from distillation_bench.bench.figures.old.run_data import RunData
from distillation_bench.bench.figures.panels import Drawing
from distillation_bench.bench.figures.registry import figure

PORTED = {
    "ablation",
    "bands",
    "cost",
    "fidelity",
    "maps",
    "metrics",
    "ranks",
    "shift",
    "training",
}
_last: list[Any] = []


def _run_data(data: FigureData) -> RunData:
    if not _last or _last[0] is not data.results or _last[1] != data.options:
        folders = [run.folder for run in data.results.runs]
        options = data.options
        old = OldOptions(
            options.datasets, options.labels, options.seed, options.metrics, options.sets
        )
        _last[:] = data.results, data.options, RunData.of(read(folders, True, False), old)
    run: RunData = _last[2]
    return run


def _draw(draw: Callable[[Any], Any], data: FigureData) -> list[Drawing]:
    run = _run_data(data)
    with figure_style():
        drawn = draw(DatasetData(run, data.dataset) if data.dataset else run)
    data.damaged.update((path, "") for path in run.damaged)
    return [
        Drawing(
            item.figure,
            item.title,
            item.alt,
            item.note,
            item.name.removeprefix(file_name(item.name.split("-")[0], data.dataset)).strip("-"),
        )
        for item in drawn
    ]


def _register(name: str) -> None:
    kind = FIGURE_KINDS[name]
    draw: Any = kind.draw_dataset or kind.draw_all

    def function(data: FigureData) -> list[Drawing]:
        return _draw(draw, data)

    figure(name, kind.summary, kind.needs, kind.draw_all is not None)(function)


for _name in FIGURE_KINDS:
    if _name not in PORTED:
        _register(_name)
