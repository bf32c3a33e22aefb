"""Figures as contents of image files, drawn by several processes.

The same figure gives the same bytes. Most of the time that a report takes is spent here.
"""

from __future__ import annotations

import io
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.common.devices import cores
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.paths import safe_path
from distillation_bench.bench.common.signals import shield_children
from distillation_bench.bench.common.text import terminal_safe
from distillation_bench.bench.figures.drawing import (
    ALL,
    LEFT_OUT,
    Answer,
    FigureRequest,
    PluginFault,
    Selection,
    collect,
    plugin_faults,
)
from distillation_bench.bench.figures.figure_data import FigureOptions
from distillation_bench.bench.figures.panels import Drawing, Format
from distillation_bench.bench.figures.registry import figure_kind, figure_kinds
from distillation_bench.bench.figures.style import DOTS_PER_INCH, figure_style

FEW = 3
"""Up to this many requests are drawn faster in this process than another one starts."""
NOTEBOOK_DOTS_PER_INCH = 144
_METADATA: dict[Format, dict[str, Any]] = {
    # Without dates and versions.
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
}


def to_bytes(
    figure: Figure,
    format: Format,
    dots_per_inch: int = DOTS_PER_INCH,
    settings: dict[Any, Any] | None = None,
) -> bytes:
    """Return the content of an image file of a figure; `settings` are those of `figure_style`."""
    has_palette = format == "png" and not any(axes.images for axes in figure.axes)
    content = io.BytesIO()
    with mpl.rc_context(settings or figure_style()):
        if has_palette:
            figure.savefig(content, format="rgba", dpi=dots_per_inch)
            return _png_with_palette(figure, content.getvalue(), dots_per_inch)
        figure.savefig(content, format=format, dpi=dots_per_inch, metadata=_METADATA[format])
    return content.getvalue()


def _png_with_palette(figure: Figure, pixels: bytes, dots_per_inch: int) -> bytes:
    """Return a PNG of 256 colours: a third of the size, and no visible difference in a drawing."""
    from PIL import Image

    width, height = (int(inches * dots_per_inch) for inches in figure.get_size_inches())
    drawn = Image.frombuffer("RGBA", (width, height), pixels).convert("RGB")
    reduced = drawn.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    # The background stays white; quantisation gives nearly white.
    palette = np.array(reduced.getpalette()).reshape(-1, 3)
    palette[palette.min(1) > 250] = 255
    reduced.putpalette(palette.ravel().tolist())
    smaller = io.BytesIO()
    reduced.save(smaller, "png", dpi=(dots_per_inch, dots_per_inch))
    return smaller.getvalue()


def show_in_notebooks() -> None:
    """Let a notebook show the figures of matplotlib that pyplot has not made."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None:
        formatter = shell.display_formatter.formatters["image/png"]
        if Figure not in formatter:
            formatter.for_type(Figure, lambda f: to_bytes(f, "png", NOTEBOOK_DOTS_PER_INCH))


@dataclass(frozen=True)
class _Work:
    """What a process needs to draw.

    Attributes:
        selection: what is drawn.
        formats, dots_per_inch: of the image files.
        is_complete: whether a plugin's figure that fails is an error; else it is left out, and
            named on standard error.
    """

    selection: Selection
    formats: tuple[Format, ...]
    dots_per_inch: int
    is_complete: bool

    def render(self, request: FigureRequest) -> Answer:
        try:
            answer = self.selection.draw(request)
            with plugin_faults(figure_kind(request.kind)):
                return answer._replace(figures=[*map(self._rendered, answer.figures)])
        except PluginFault as fault:
            if self.is_complete:
                raise
            print(terminal_safe(f"{fault}; left out"), file=sys.stderr)
            return Answer([])

    def _rendered(self, drawn: Drawing) -> Drawing:
        settings = self.selection.settings
        return replace(
            drawn,
            contents={
                f: to_bytes(drawn.figure, f, self.dots_per_inch, settings) for f in self.formats
            },
        )


def render(
    results: Results,
    kinds: Sequence[str] = (),
    options: FigureOptions = ALL,
    formats: Sequence[Format] = ("png",),
    dots_per_inch: int = DOTS_PER_INCH,
) -> Iterator[Drawing]:
    """Draw figures of some kinds, each of which must have data, with the `contents` of files.

    By default all that have data are drawn. Damaged files are left out and named on standard error.
    So are, by default, plugins' figures that fail, and figures whose arrays were left out of a copy
    of the run.

    Raises:
        UsageError: a name is unknown, a kind that was given has no data, or a process that draws
            was ended.
    """
    work = _Work(Selection(results, options), tuple(formats), dots_per_inch, bool(kinds))
    requests = work.selection.requests(kinds)
    answers = _report(requests, _answers(work, requests), names_omitted=not kinds)
    yield from collect(requests, answers, kinds)


def _report(
    requests: Sequence[FigureRequest], answers: Iterable[Answer], names_omitted: bool
) -> Iterator[Answer]:
    """Pass the answers on, and name on standard error what is damaged or omitted, each once."""
    reported: set[Path] = set()
    without_arrays: dict[str, None] = {}
    for request, answer in zip(requests, answers, strict=True):
        for path in (path for path in answer.damaged if path not in reported):
            print(terminal_safe(f"{path}: damaged, left out"), file=sys.stderr)
        reported |= {*answer.damaged}
        without_arrays |= {request.kind: None} if answer.reason == LEFT_OUT else {}
        yield answer
    if without_arrays and names_omitted:
        print(f"not drawn: {', '.join(without_arrays)}: {LEFT_OUT}", file=sys.stderr)


def _answers(work: _Work, requests: Sequence[FigureRequest]) -> Iterator[Answer]:
    """Return the answers in order.

    This process draws figures of plugins, since it has them, and as many others as each of those
    that help it.
    """
    plugins = {name for name, kind in figure_kinds().items() if kind.is_plugin}
    others = [request for request in requests if request.kind not in plugins]
    count = 1 if len(others) <= FEW else min(_processes(), len(others))
    elsewhere = [request for index, request in enumerate(others) if index % count]
    answers = _answers_of_helpers(work, elsewhere, count - 1)
    if elsewhere:
        next(answers)
    yield from (next(answers) if r in elsewhere else work.render(r) for r in requests)


def _processes() -> int:
    """Return how many processes may draw; JOBLIB_MULTIPROCESSING=0 allows this one alone."""
    import joblib

    return int(joblib.effective_n_jobs(cores()))


def _answers_of_helpers(
    work: _Work, requests: Sequence[FigureRequest], count: int
) -> Iterator[Answer]:
    """Yield an empty answer when the processes have their work, and then the answers in order."""
    from joblib.externals import loky
    from joblib.externals.loky.process_executor import BrokenProcessPool

    # What all processes need is made once, before it is sent.
    _ = work.selection.results.metrics, work.selection.styles, work.selection.settings
    with safe_path():
        # This starts a process that watches what the others share.
        helpers = loky.ProcessPoolExecutor(count, initializer=_begin, initargs=(work,))
    try:
        # The others start when requests are submitted.
        with safe_path(), shield_children():
            answers = helpers.map(_render_request, requests)
        yield Answer([])
        yield from answers
    except BrokenProcessPool:
        reason = "a process that draws was ended, perhaps for want of memory"
        raise UsageError(f"figures: {reason}") from None
    finally:
        helpers.shutdown(kill_workers=True)


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


def _render_request(request: FigureRequest) -> Answer:
    return _work.render(request)
