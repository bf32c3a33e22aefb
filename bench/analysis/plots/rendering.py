"""Figures as contents of files, drawn by several processes: most of a report's time goes there."""

from __future__ import annotations

import multiprocessing
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from bench.analysis.plots import (
    Drawn,
    Format,
    Options,
    Part,
    draw_part,
    no_data,
    parts_of,
    to_bytes,
)
from bench.analysis.plots.look import DOTS_PER_INCH, Look
from bench.analysis.plots.view import Material
from bench.analysis.results import Results
from bench.devices import cores

FEW = 3
"""So many parts are drawn sooner here than a second process has started."""


@dataclass(frozen=True)
class Rendered:
    """A figure as it is written; its size in inches."""

    name: str
    title: str
    alt: str
    width: float
    height: float
    contents: Mapping[Format, bytes]


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
    options: Options | None = None,
    formats: Sequence[Format] = ("png",),
    dots_per_inch: int = DOTS_PER_INCH,
) -> Iterator[Rendered]:
    """Kinds of figures by name, each of them required; without a name all that have data.

    Raises:
        UsageError: a name is unknown, or a kind asked for by name has no data.
    """
    job = _Job(results, options or Options(), tuple(formats), dots_per_inch)
    parts = parts_of(job.material(), names)
    reasons: dict[str, list[str]] = defaultdict(list)
    found = set()
    for (name, _), (rendered, reason) in zip(parts, _each(job, parts), strict=True):
        found |= {name} if rendered else set()
        reasons[name].append(reason)
        yield from rendered
    for name in names:
        if name not in found:
            raise no_data(name, reasons[name])


def _each(job: _Job, parts: Sequence[Part]) -> Iterator[tuple[list[Rendered], str]]:
    if cores() == 1 or len(parts) <= FEW:
        _begin(job)
        yield from map(_render_part, parts)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(cores(), len(parts)), context, _begin, (job,)) as pool:
        yield from pool.map(_render_part, parts)


_here: tuple[_Job, Material]
"""What this process draws."""


def _begin(job: _Job) -> None:
    global _here
    _here = job, job.material()


def _render_part(part: Part) -> tuple[list[Rendered], str]:
    job, material = _here
    drawn, reason = draw_part(material, part)
    return [_rendered(each, job) for each in drawn], reason


def _rendered(drawn: Drawn, job: _Job) -> Rendered:
    width, height = drawn.figure.get_size_inches()
    contents = {kind: to_bytes(drawn.figure, kind, job.dots_per_inch) for kind in job.formats}
    return Rendered(drawn.name, drawn.title, drawn.alt, float(width), float(height), contents)
