"""Which figures there are to draw for a selection of results, and drawing them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, count
from typing import NamedTuple, TypeVar

from distillation_bench.bench.analysis.old_results import Results
from distillation_bench.bench.common.errors import UsageError, nearest
from distillation_bench.bench.figures.old.appearance.layout import NoData
from distillation_bench.bench.figures.old.appearance.style import figure_style
from distillation_bench.bench.figures.old.dataset_data import DatasetData
from distillation_bench.bench.figures.old.figure_types import (
    DrawnFigure,
    FigureOptions,
    RenderedFigure,
)
from distillation_bench.bench.figures.old.registry import FIGURE_KINDS
from distillation_bench.bench.figures.old.run_data import RunData

ALL = FigureOptions()

AnyFigure = TypeVar("AnyFigure", DrawnFigure, RenderedFigure)


class FigureRequest(NamedTuple):
    """A kind of figure and a dataset; no dataset for a figure over all of them."""

    kind: str
    dataset: str


def draw(
    results: Results, kinds: Sequence[str] = (), options: FigureOptions = ALL
) -> Iterator[DrawnFigure]:
    """Draw figures of some kinds, each of which must have data; by default of all that have.

    Raises:
        UsageError: a name is unknown, or a kind that was given has no data.
    """
    run = RunData.of(results, options)
    requests = requests_for(run, kinds)
    yield from collect(requests, (draw_request(run, request) for request in requests), kinds)


def requests_for(run: RunData, kinds: Sequence[str] = ()) -> list[FigureRequest]:
    """Return what is drawn, in order: kind by kind as given, or all kinds dataset by dataset.

    Raises:
        UsageError: a kind, or a name in the options, is unknown.
    """
    for kind in kinds:
        if kind not in FIGURE_KINDS:
            raise UsageError(f"figure {kind}: unknown{nearest(kind, FIGURE_KINDS)}")
    _check_seed(run)
    _check_sets(run)
    selected = list(dict.fromkeys(kinds) or FIGURE_KINDS)
    by_dataset = [kind for kind in selected if FIGURE_KINDS[kind].draw_dataset]
    requests = [FigureRequest(kind, dataset) for dataset in run.datasets for kind in by_dataset]
    requests += [FigureRequest(kind, "") for kind in selected if FIGURE_KINDS[kind].draw_all]
    return sorted(requests, key=lambda request: selected.index(request.kind)) if kinds else requests


def _check_seed(run: RunData) -> None:
    seed = run.options.seed
    seeds = sorted({seed for _, _, seed in run.results.cells})
    if seed is not None and seed not in seeds:
        raise UsageError(f"seed {seed}: not in the run; there is {', '.join(map(str, seeds))}")


def _check_sets(run: RunData) -> None:
    """Raise UsageError if a selected set is not in the run; not every figure needs to have it."""
    if not run.options.sets:
        return
    rows = {row[:3] for _, row, _ in run.results.long_table(lambda row: True)}
    names = {"test"} | {f"{shift}/{severity}" if shift else name for name, shift, severity in rows}
    for name in run.options.sets:
        if name.removeprefix("test/") not in names:
            raise UsageError(f"--on {name}: not in the run{nearest(name, names)}")


def draw_request(run: RunData, request: FigureRequest) -> tuple[list[DrawnFigure], str]:
    """Return the figures of a request, or none and the reason why there is nothing to draw."""
    kind = FIGURE_KINDS[request.kind]
    with figure_style():
        try:
            if kind.draw_all:
                return kind.draw_all(run), ""
            assert kind.draw_dataset
            return kind.draw_dataset(DatasetData(run, request.dataset)), ""
        except NoData as error:
            return [], f"{request.dataset}: {error}" if request.dataset else str(error)


def collect(
    requests: Sequence[FigureRequest],
    answers: Iterable[tuple[Sequence[AnyFigure], str]],
    required: Sequence[str],
) -> Iterator[AnyFigure]:
    """Yield the figures of all requests under names that no two figures share.

    Args:
        requests: what was drawn.
        answers: for each request its figures, or none and the reason.
        required: kinds of which there must be a figure.

    Raises:
        UsageError: there is no figure of a required kind.
    """
    used: set[str] = set()
    reasons: dict[str, list[str]] = {kind: [] for kind in required}
    for request, (figures, reason) in zip(requests, answers, strict=True):
        for figure in figures:
            name = _unused(figure.name, used)
            used.add(name.lower())
            yield replace(figure, name=name)
        if figures:
            reasons.pop(request.kind, None)
        elif request.kind in reasons:
            reasons[request.kind].append(reason)
    for kind, texts in reasons.items():
        why = "; ".join(dict.fromkeys(texts))
        raise UsageError(f"figure {kind}: no data ({why}); it needs {FIGURE_KINDS[kind].needs}")


def _unused(name: str, used: Container[str]) -> str:
    """Return the name, with a number if another file has it on a file system without case."""
    numbered = (f"{name}-{number}" for number in count(2))
    return next(text for text in chain([name], numbered) if text.lower() not in used)
