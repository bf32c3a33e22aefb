"""Figures as contents of files, drawn by several processes: most of a report's time goes there."""

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

from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.common.devices import cores
from distillation_bench.bench.common.signals import shield_children
from distillation_bench.bench.common.text import terminal_safe
from distillation_bench.bench.figures import (
    ALL,
    Drawn,
    Format,
    Options,
    Part,
    Rendered,
    draw_part,
    gathered,
    parts_of,
    to_bytes,
)
from distillation_bench.bench.figures.request import Material
from distillation_bench.bench.figures.style import DOTS_PER_INCH, Look

FEW = 3
"""So many parts are drawn sooner here than a second process has started."""


@dataclass(frozen=True)
class _Job:
    results: Results
    options: Options
    formats: tuple[Format, ...]
    dots_per_inch: int

    def material(self) -> Material:
        return Material(self.results, self.options, Look(self.results))


def render(
    results: Results,
    names: Sequence[str] = (),
    options: Options = ALL,
    formats: Sequence[Format] = ("png",),
    dots_per_inch: int = DOTS_PER_INCH,
) -> Iterator[Rendered]:
    """Kinds of figures by name, each of them required; without a name all that have data.

    Files that are damaged are left out, and named on standard error.

    Raises:
        UsageError: a name is unknown, or a kind asked for by name has no data.
    """
    job = _Job(results, options, tuple(formats), dots_per_inch)
    parts = parts_of(job.material(), names)
    yield from gathered(parts, _told(_each(job, parts)), names)


Answer = tuple[list[Rendered], str, list[Path]]
"""Of a part: its figures, or the reason why there is none; and the damaged files seen so far."""


def _told(answers: Iterable[Answer]) -> Iterator[tuple[list[Rendered], str]]:
    """The same, and each damaged file named once on standard error."""
    told: set[Path] = set()
    for rendered, reason, damaged in answers:
        for path in damaged:
            if path not in told:
                print(terminal_safe(f"{path}: damaged, left out"), file=sys.stderr)
                told.add(path)
        yield rendered, reason


def _each(job: _Job, parts: Sequence[Part]) -> Iterator[Answer]:
    if cores() == 1 or len(parts) <= FEW:
        _begin(job)
        yield from map(_render_part, parts)
        return
    # Read before they are sent, not by each process.
    _ = job.results.told
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(cores(), len(parts)), context, _begin_process, (job,)) as pool:
        # To hand out all parts starts all processes.
        with shield_children():
            answers = pool.map(_render_part, parts)
        yield from answers


_here: tuple[_Job, Material]
"""What this process draws."""


def _begin(job: _Job) -> None:
    global _here
    _here = job, job.material()


def _begin_process(job: _Job) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _begin(job)


def _end_with_parent() -> None:
    """A killed parent can't end its processes, and they would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _render_part(part: Part) -> Answer:
    job, material = _here
    drawn, reason = draw_part(material, part)
    return [_rendered(each, job) for each in drawn], reason, list(material.damaged)


def _rendered(drawn: Drawn, job: _Job) -> Rendered:
    width, height = drawn.figure.get_size_inches()
    contents = {kind: to_bytes(drawn.figure, kind, job.dots_per_inch) for kind in job.formats}
    size = float(width), float(height)
    return Rendered(drawn.name, drawn.title, drawn.alt, drawn.note, *size, contents)
