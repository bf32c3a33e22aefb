"""Figures as contents of image files, drawn by several processes.

Most of the time that a report takes is spent here.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from distillation_bench.bench.analysis.old_results import Results
from distillation_bench.bench.common.devices import cores
from distillation_bench.bench.common.signals import shield_children
from distillation_bench.bench.common.text import terminal_safe
from distillation_bench.bench.figures.image_files import Format, to_bytes
from distillation_bench.bench.figures.old.appearance.style import DOTS_PER_INCH
from distillation_bench.bench.figures.old.drawing import (
    ALL,
    FigureRequest,
    collect,
    draw_request,
    requests_for,
)
from distillation_bench.bench.figures.old.figure_types import (
    DrawnFigure,
    FigureOptions,
    RenderedFigure,
)
from distillation_bench.bench.figures.old.run_data import RunData

FEW = 3
"""Up to this many requests are drawn faster in this process than another one starts."""


@dataclass(frozen=True)
class _Settings:
    """What a process needs to draw."""

    results: Results
    options: FigureOptions
    formats: tuple[Format, ...]
    dots_per_inch: int


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

    Damaged files are left out and named on standard error.

    Raises:
        UsageError: a name is unknown, or a kind that was given has no data.
    """
    settings = _Settings(results, options, tuple(formats), dots_per_inch)
    requests = requests_for(RunData.of(results, options), kinds)
    yield from collect(requests, _report_damage(_answers(settings, requests)), kinds)


def _report_damage(answers: Iterable[_Answer]) -> Iterator[tuple[list[RenderedFigure], str]]:
    """Pass the answers on, and name each damaged file once on standard error."""
    reported: set[Path] = set()
    for figures, reason, damaged in answers:
        for path in damaged:
            if path not in reported:
                print(terminal_safe(f"{path}: damaged, left out"), file=sys.stderr)
                reported.add(path)
        yield figures, reason


def _answers(settings: _Settings, requests: Sequence[FigureRequest]) -> Iterator[_Answer]:
    if cores() == 1 or len(requests) <= FEW:
        _begin(settings)
        yield from map(_render_request, requests)
        return
    # All records are read once before they are sent, not by each process.
    _ = settings.results.facts
    processes = min(cores(), len(requests))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _begin_process, (settings,)) as pool:
        # Processes start when requests are submitted.
        with shield_children():
            answers = pool.map(_render_request, requests)
        yield from answers


_current: tuple[_Settings, RunData]
"""What this process draws."""


def _begin(settings: _Settings) -> None:
    global _current
    _current = settings, RunData.of(settings.results, settings.options)


def _begin_process(settings: _Settings) -> None:
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    _begin(settings)


def _exit_with_parent() -> None:
    """Exit when the parent does: a parent that is killed leaves its processes waiting forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _render_request(request: FigureRequest) -> _Answer:
    settings, run = _current
    figures, reason = draw_request(run, request)
    return _Answer([_rendered(f, settings) for f in figures], reason, list(run.damaged))


def _rendered(drawn: DrawnFigure, settings: _Settings) -> RenderedFigure:
    width, height = drawn.figure.get_size_inches()
    contents = {
        format: to_bytes(drawn.figure, format, settings.dots_per_inch)
        for format in settings.formats
    }
    return RenderedFigure(
        drawn.name, drawn.title, drawn.alt, drawn.note, float(width), float(height), contents
    )
