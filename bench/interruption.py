"""Ctrl-C, SIGTERM and the end of the terminal: they end the program alike, with status 130.

Imports next to nothing: it is what the program begins with.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType

STATUS = 130


def end_at_once() -> None:
    """Have them end this process without a word: it has nothing to keep, as while it imports."""
    _handle(lambda number, frame: os._exit(STATUS))


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """Within, they raise KeyboardInterrupt; afterwards they end the process at once."""
    _handle(_interrupt)
    try:
        yield
    finally:
        end_at_once()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _handle(handler: Callable[[int, FrameType | None], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # `nohup`, and a script that runs it in the background, keep it alive.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)
