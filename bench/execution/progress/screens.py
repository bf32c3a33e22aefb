"""Where the user reads how a run goes: on stderr, in a notebook, or nowhere."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextvars import ContextVar, copy_context
from typing import Any, Protocol

from markupsafe import Markup

MAX_LINES = 20
"""The lines that a notebook shows below the bar: the last notes and failures."""
NOTEBOOK_SECONDS = 0.25
"""The least time between two updates of a notebook's display."""
TICK_SECONDS = 1.0
"""The time after which a display is updated, so that the time passed goes on."""


class Counts(Protocol):
    """The state of a run: `Progress`."""

    done: int
    failed: int

    @property
    def total(self) -> int:
        """The number of cells to run."""

    def summary(self) -> str:
        """Return the state in one line."""


class Screen:
    """Shows nothing; the base of those that do."""

    def note(self, line: str) -> None:
        """Show a line that stays."""

    def step(self, line: str) -> None:
        """Show what is done before cells run; it need not stay."""

    def cell_finished(self, line: str, failed: bool) -> None:
        """Show that a cell has ended."""

    @contextlib.contextmanager
    def live(self, counts: Counts) -> Iterator[None]:
        """Keep showing the state of a run within the block."""
        yield


class Stderr(Screen):
    """A live line on a terminal, else one line per finished cell."""

    _live: Any = None

    def note(self, line: str) -> None:
        """Print a line."""
        print(line, file=sys.stderr, flush=True)

    step = note

    def cell_finished(self, line: str, failed: bool) -> None:
        """Print a line, on a terminal only if the cell failed."""
        if self._live is None:
            self.note(line)
        elif failed:
            self._live.console.print(line)

    @contextlib.contextmanager
    def live(self, counts: Counts) -> Iterator[None]:
        """Keep the live line, if stderr is a terminal."""
        if not sys.stderr.isatty():
            yield
            return
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True, markup=False, highlight=False)
        with Live(console=console, get_renderable=counts.summary, refresh_per_second=4) as live:
            self._live = live
            try:
                yield
            finally:
                self._live = None


class Notebook(Screen):
    """One display of a notebook, which is updated: a bar, and the last notes and failures.

    Args:
        shell: the notebook's IPython.
    """

    def __init__(self, shell: Any) -> None:
        self._publish = shell.display_pub.publish
        self._id = {"display_id": uuid.uuid4().hex}
        self._lines: list[str] = []
        self._step = ""
        self._counts: Counts | None = None
        self._updated = 0.0
        self._lock = threading.Lock()
        self._publish(self._content(), transient=self._id)

    def note(self, line: str) -> None:
        """Show a line below the bar."""
        self._lines.append(line)
        self._update()

    def step(self, line: str) -> None:
        """Show a line until there is another, or the bar."""
        self._step = line
        self._update()

    def cell_finished(self, line: str, failed: bool) -> None:
        """Move the bar; show the line only if the cell failed."""
        if failed:
            self._lines.append(line)
        if time.monotonic() - self._updated >= NOTEBOOK_SECONDS:
            self._update()

    @contextlib.contextmanager
    def live(self, counts: Counts) -> Iterator[None]:
        """Keep the bar up to date, also while no cell ends."""
        self._counts = counts
        stopped = threading.Event()

        def tick() -> None:
            while not stopped.wait(TICK_SECONDS):
                self._update()

        # What a thread displays goes to the cell of the notebook whose context it has.
        ticker = threading.Thread(target=copy_context().run, args=(tick,), daemon=True)
        ticker.start()
        try:
            yield
        finally:
            stopped.set()
            ticker.join()
            self._update()

    def _update(self) -> None:
        with self._lock:
            self._updated = time.monotonic()
            self._publish(self._content(), transient=self._id, update=True)

    def _content(self) -> dict[str, str]:
        """Return the display as HTML, and as text for consoles without it."""
        bar, summary = Markup(""), self._step
        if self._counts is not None:
            ended, summary = self._counts.done + self._counts.failed, self._counts.summary()
            bar = Markup('<progress value="{}" max="{}"></progress> ').format(
                ended, self._counts.total
            )
        hidden = len(self._lines) - MAX_LINES
        lines = [f"{hidden} earlier lines", *self._lines[hidden:]] if hidden > 0 else self._lines
        text = "\n".join(lines)
        html = bar + summary + (Markup("<pre>{}</pre>").format(text) if text else "")
        return {"text/html": f"<div>{html}</div>", "text/plain": f"{summary}\n{text}".strip()}


_SCREEN: ContextVar[Screen] = ContextVar("screen", default=Stderr())  # noqa: B039


def screen() -> Screen:
    """Return the screen of this run."""
    return _SCREEN.get()


@contextlib.contextmanager
def shown_on(chosen: Screen) -> Iterator[None]:
    """Show what runs within the block on this screen."""
    token = _SCREEN.set(chosen)
    try:
        yield
    finally:
        _SCREEN.reset(token)


def interactive_screen() -> Screen:
    """Return a notebook's display within a notebook, else stderr."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return Notebook(shell) if hasattr(shell, "kernel") else Stderr()
