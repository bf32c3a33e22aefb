"""Which figures there are to draw for a selection of results, and drawing them."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from inspect import signature, unwrap
from itertools import chain, count, islice
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distillation_bench.bench.analysis.comparison import one_label
from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.common.errors import UsageError, nearest
from distillation_bench.bench.figures.figure_data import FigureData, FigureOptions
from distillation_bench.bench.figures.panels import Drawing
from distillation_bench.bench.figures.registry import FigureKind, NoData, figure_kind, figure_kinds
from distillation_bench.bench.figures.style import (
    LabelStyle,
    check_font,
    figure_style,
    label_styles,
    page_widths,
)

ALL = FigureOptions()
LEFT_OUT = "arrays were left out of this copy (merge --no-arrays)"
"""The reason why there is no figure of a run that was copied without its arrays."""
PLUGIN_SHAPE = 0.75
"""Height of a plugin's figure, as a share of its width."""


class FigureRequest(NamedTuple):
    """A kind of figure and a dataset; no dataset for a figure over all of them."""

    kind: str
    dataset: str


class Answer(NamedTuple):
    """The figures of a request, or none and the reason; and all damaged files that were met."""

    figures: Sequence[Drawing]
    reason: str = ""
    damaged: Sequence[Path] = ()


@dataclass(frozen=True)
class Selection:
    """Results and what is drawn of them.

    Attributes:
        results, options: see `FigureData`.
        damaged: damaged files that were left out, with the id of their cell.
    """

    results: Results
    options: FigureOptions = ALL
    damaged: dict[Path, str] = field(default_factory=dict)

    @cached_property
    def styles(self) -> Mapping[str, LabelStyle]:
        """How each label is drawn."""
        return label_styles(self.results)

    @cached_property
    def settings(self) -> dict[Any, Any]:
        """Settings of matplotlib for drawing and writing."""
        return figure_style(self.options.font)

    def check(self) -> None:
        """Raise UsageError if a name in the options is unknown."""
        options, results = self.options, self.results
        page_widths(options.width)
        check_font(options.font)
        results.select_labels(options.labels)
        results.select_datasets(options.datasets)
        seeds = sorted(set(results.planned["seed"]))
        if options.seed is not None and options.seed not in seeds:
            there = ", ".join(map(str, seeds))
            raise UsageError(f"--seed {options.seed}: not in these runs; there is {there}")
        if options.baseline:
            one_label(options.baseline, results)
        if options.sets:
            _check_sets(results, options.sets)

    def requests(self, kinds: Sequence[str] = ()) -> list[FigureRequest]:
        """Return what is drawn: kind by kind as given, or all kinds dataset by dataset.

        Raises:
            UsageError: a kind, or a name in the options, is unknown.
        """
        selected = {name: figure_kind(name) for name in kinds} or figure_kinds()
        self.check()
        datasets = [d for d in self.results.datasets if d in (self.options.datasets or [d])]
        single = [name for name, kind in selected.items() if not kind.over_datasets]
        requests = [FigureRequest(kind, dataset) for dataset in datasets for kind in single]
        requests += [FigureRequest(name, "") for name in selected if name not in single]
        order = [*selected]
        return sorted(requests, key=lambda r: order.index(r.kind)) if kinds else requests

    def draw(self, request: FigureRequest, ax: Axes | None = None) -> Answer:
        """Return the figures of a request, or none and the reason why there is nothing to draw."""
        kind = figure_kind(request.kind)
        data = FigureData(
            self.results, self.options, self.styles, request.dataset, ax, self.damaged
        )
        # Axes of the caller are drawn into in the caller's style.
        style = mpl.rc_context(self.settings) if ax is None else nullcontext()
        try:
            with style, plugin_faults(kind):
                drawings = _draw(kind, data)
        except NoData as error:
            why = f"{request.dataset}: {error}" if request.dataset else str(error)
            return Answer([], LEFT_OUT if data.arrays_are_left_out else why, [*self.damaged])
        named = [
            replace(drawing, dataset=request.dataset, name=_file_name(*request, drawing.part))
            for drawing in drawings
        ]
        return Answer(named, "", [*self.damaged])


class PluginFault(UsageError):
    """The function of a plugin's figure failed."""


@contextmanager
def plugin_faults(kind: FigureKind) -> Iterator[None]:
    """Turn what a plugin's function raises into a PluginFault of one line, with the place."""
    try:
        yield
    except (NoData, PluginFault):
        raise
    except Exception as error:
        if not kind.is_plugin:
            raise
        frames = traceback.extract_tb(error.__traceback__)
        file = unwrap(kind.function).__code__.co_filename
        place = [f" ({file}:{frame.lineno})" for frame in frames if frame.filename == file][-1:]
        name = "" if isinstance(error, UsageError) else f"{type(error).__name__}: "
        reason = " ".join(f"{name}{error}".split()).removesuffix(":")
        raise PluginFault(f"figure {kind.name}{''.join(place)}: {reason}") from error


def draw(
    results: Results, kind: str, options: FigureOptions = ALL, ax: Axes | None = None
) -> Figure:
    """Draw the one figure of a kind that there is for a selection.

    Args:
        results: what is drawn.
        kind: name of the kind.
        options: the selection.
        ax: axes of the caller to draw into, in the caller's style, without the note and with the
            legend below them, if the figure has one panel.

    Returns:
        The figure, or that of `ax`.

    Raises:
        UsageError: a name is unknown, there is nothing to draw, or there are several figures.
    """
    if ax is None:
        drawings = list(draw_figures(results, [kind], options))
        if len(drawings) > 1:
            raise UsageError(f"figure {kind}: {_choice(drawings)}")
        return drawings[0].figure
    selection = Selection(results, options)
    requests = selection.requests([kind])
    if len(requests) > 1:
        requests = [r for r in requests if selection.draw(r).figures] or requests[:1]
    if len(requests) > 1:
        names = ", ".join(request.dataset for request in requests)
        raise UsageError(
            f"figure {kind}: choose one of the datasets {names} to draw into ax, such as "
            f"datasets={requests[0].dataset!r}"
        )
    (drawing, *_) = collect(requests, [selection.draw(requests[0], ax)], [kind])
    return drawing.figure


def draw_figures(
    results: Results, kinds: Sequence[str] = (), options: FigureOptions = ALL
) -> Iterator[Drawing]:
    """Draw figures of some kinds, each of which must have data; by default of all that have.

    Raises:
        UsageError: a name is unknown, or a kind that was given has no data.
    """
    selection = Selection(results, options)
    requests = selection.requests(kinds)
    yield from collect(requests, map(selection.draw, requests), kinds)


def _choice(drawings: Sequence[Drawing]) -> str:
    """Return that there are several figures, and how to choose one."""
    names = ", ".join(drawing.name for drawing in drawings)
    datasets = {drawing.dataset for drawing in drawings}
    how = f"datasets={drawings[0].dataset!r}" if len(datasets) > 1 else "metric= or on="
    return f"{len(drawings)} figures ({names}): choose one with {how}"


def _draw(kind: FigureKind, data: FigureData) -> list[Drawing]:
    """Return the figures of a kind, of what its function takes and returns."""
    first, *others = signature(kind.function).parameters
    if first == "data":
        drawings: Any = kind.function(data)
        several = iter([drawings] if isinstance(drawings, Drawing) else drawings)
        # Two figures would be drawn into the same axes.
        return list(islice(several, 1 if data.ax else None))
    selected = _selected(data)
    if others:
        width = page_widths(data.options.width)[0]
        own = Figure(figsize=(width, PLUGIN_SHAPE * width), layout="constrained")
        figure = data.ax.figure if data.ax else own
        kind.function(selected, data.ax or figure.subplots())
    else:
        figure = kind.function(selected)
    if not isinstance(figure, Figure):
        raise PluginFault(f"figure {kind.name}: its function must return a Figure of matplotlib")
    return [Drawing(figure, kind.summary or kind.name, kind.summary, "")]


def _selected(data: FigureData) -> Results:
    """Return the results with the selected cells alone, for a plugin."""
    names = ("dataset", "method", "label")
    tidy = {name: data.planned[name].cat.remove_unused_categories() for name in names}
    headline = data.results.headline.loc[data.planned.index]
    return replace(data.results, planned=data.planned.assign(**tidy), headline=headline)


def _check_sets(results: Results, sets: Sequence[str]) -> None:
    """Raise UsageError if a set is not in the run; not every figure needs to have it."""
    rows = results.metrics[["set", "shift", "severity"]].drop_duplicates().itertuples(index=False)
    names = {"test"} | {f"{shift}/{severity}" if shift else name for name, shift, severity in rows}
    for name in sets:
        if name.removeprefix("test/") not in names:
            raise UsageError(f"--on {name}: not in these runs{nearest(name, names)}")


def collect(
    requests: Sequence[FigureRequest], answers: Iterable[Answer], required: Sequence[str]
) -> Iterator[Drawing]:
    """Yield the figures of all requests under names that no two figures share.

    Args:
        requests: what was drawn.
        answers: one for each request.
        required: kinds of which there must be a figure.

    Raises:
        UsageError: there is no figure of a required kind.
    """
    used: set[str] = set()
    reasons: dict[str, list[str]] = {kind: [] for kind in required}
    for request, answer in zip(requests, answers, strict=True):
        for figure in answer.figures:
            numbered = (f"{figure.name}-{number}" for number in count(2))
            # A file system may not distinguish cases.
            name = next(n for n in chain([figure.name], numbered) if n.lower() not in used)
            used.add(name.lower())
            yield replace(figure, name=name)
        if answer.figures:
            reasons.pop(request.kind, None)
        elif request.kind in reasons:
            reasons[request.kind].append(answer.reason)
    for kind, texts in reasons.items():
        why = "; ".join(dict.fromkeys(texts))
        if why == LEFT_OUT:
            raise UsageError(f"figure {kind}: no data: {why}")
        raise UsageError(f"figure {kind}: no data ({why}); it needs {figure_kind(kind).needs}")


def _file_name(*parts: str) -> str:
    """Return a file name that is safe on every system, from a figure's kind and its subject."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", "-".join(filter(None, parts))).strip("._")
