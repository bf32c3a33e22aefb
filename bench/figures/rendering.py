"""Figures as contents of image files, drawn by several processes.

Most of the time that a report takes is spent here.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.common.devices import cores
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.paths import safe_path
from distillation_bench.bench.common.signals import shield_children
from distillation_bench.bench.common.text import terminal_safe
from distillation_bench.bench.figures.drawing import (
    ALL,
    LEFT_OUT,
    FigureRequest,
    PluginFault,
    Selection,
    collect,
    plugin_faults,
)
from distillation_bench.bench.figures.figure_data import FigureOptions
from distillation_bench.bench.figures.image_files import Format, RenderedFigure, to_bytes
from distillation_bench.bench.figures.panels import Drawing
from distillation_bench.bench.figures.registry import figure_kind, figure_kinds
from distillation_bench.bench.figures.style import DOTS_PER_INCH

FEW = 3
"""Up to this many requests are drawn faster in this process than another one starts."""


@dataclass(frozen=True)
class _Work:
    """What a process needs to draw."""

    selection: Selection
    formats: tuple[Format, ...]
    dots_per_inch: int

    def render(self, request: FigureRequest) -> _Answer:
        drawings, reason = self.selection.draw(request)
        with plugin_faults(figure_kind(request.kind)):
            figures = [*map(self._rendered, drawings)]
        return _Answer(figures, reason, [*self.selection.damaged])

    def render_or_report(self, request: FigureRequest) -> _Answer:
        """Render a figure; that of a plugin which fails is named on standard error instead."""
        try:
            return self.render(request)
        except PluginFault as fault:
            print(terminal_safe(f"{fault}; left out"), file=sys.stderr)
            return _Answer([], "", [*self.selection.damaged])

    def _rendered(self, drawn: Drawing) -> RenderedFigure:
        width, height = map(float, drawn.figure.get_size_inches())
        contents = {f: to_bytes(drawn.figure, f, self.dots_per_inch) for f in self.formats}
        return RenderedFigure(
            *(drawn.name, drawn.dataset, drawn.title, drawn.alt, drawn.note),
            *(width, height, contents),
        )


class _Answer(NamedTuple):
    """The figures of a request, or the reason why there are none, and the damaged files so far."""

    figures: list[RenderedFigure]
    reason: str
    damaged: list[Path]


def render(
    results: Results,
    kinds: Sequence[str] = (),
    options: FigureOptions = ALL,
    formats: Sequence[Format] = ("png",),
    dots_per_inch: int = DOTS_PER_INCH,
) -> Iterator[RenderedFigure]:
    """Render figures of some kinds, each of which must have data; by default of all that have.

    Damaged files are left out and named on standard error. So are, by default, plugins' figures
    that fail, and figures whose arrays were left out of a copy of the run.

    Raises:
        UsageError: a name is unknown, a kind that was given has no data, or a process that draws
            was ended.
    """
    work = _Work(Selection(results, options), tuple(formats), dots_per_inch)
    requests = work.selection.requests(kinds)
    draw = work.render if kinds else work.render_or_report
    answers = _answers(work, requests, draw)
    yield from collect(requests, _report(requests, answers, not kinds), kinds)


def _report(
    requests: Sequence[FigureRequest], answers: Iterable[_Answer], omits: bool
) -> Iterator[tuple[list[RenderedFigure], str]]:
    """Pass the answers on, and name on standard error what is damaged or omitted, each once."""
    reported: set[Path] = set()
    without_arrays: dict[str, None] = {}
    for request, (figures, reason, damaged) in zip(requests, answers, strict=True):
        for path in (path for path in damaged if path not in reported):
            print(terminal_safe(f"{path}: damaged, left out"), file=sys.stderr)
        reported |= {*damaged}
        without_arrays |= {request.kind: None} if reason == LEFT_OUT else {}
        yield figures, reason
    if without_arrays and omits:
        print(f"not drawn: {', '.join(without_arrays)}: {LEFT_OUT}", file=sys.stderr)


def _answers(
    work: _Work, requests: Sequence[FigureRequest], draw: Callable[[FigureRequest], _Answer]
) -> Iterator[_Answer]:
    """Return the answers in order; figures of plugins are drawn by this process, which has them."""
    plugins = {name for name, kind in figure_kinds().items() if kind.is_plugin}
    elsewhere = [request for request in requests if request.kind not in plugins]
    if cores() == 1 or len(elsewhere) <= FEW:
        yield from map(draw, requests)
        return
    answers = _answers_in_parallel(work, elsewhere)
    yield from (draw(r) if r.kind in plugins else next(answers) for r in requests)


def _answers_in_parallel(work: _Work, requests: Sequence[FigureRequest]) -> Iterator[_Answer]:
    import joblib
    from joblib.externals.loky.process_executor import BrokenProcessPool

    # The table is read once before it is sent, not by each process.
    _ = work.selection.results.metrics
    processes = min(cores(), len(requests))
    setup = {"initializer": _begin, "initargs": (work,), "idle_worker_timeout": 5}
    with safe_path(), joblib.parallel_config("loky", n_jobs=processes, **setup):
        parallel = joblib.Parallel(return_as="generator", batch_size=1)
        # Processes start when requests are submitted.
        with shield_children():
            answers = parallel(joblib.delayed(_render_request)(request) for request in requests)
        try:
            yield from answers
        except BrokenProcessPool:
            reason = "a process that draws was ended, perhaps for want of memory"
            raise UsageError(f"figures: {reason}") from None


_work: _Work
"""What this process draws."""


def _begin(work: _Work) -> None:
    global _work
    _work = work
    threading.Thread(target=_exit_with_parent, args=(os.getppid(),), daemon=True).start()


def _exit_with_parent(parent: int) -> None:
    """Exit when the parent does: one that is killed leaves its processes drawing on."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _render_request(request: FigureRequest) -> _Answer:
    return _work.render(request)
