"""Ctrl-C, SIGTERM and the end of the terminal: they end the program alike, with status 130.

Imports next to nothing: it is what the program begins with.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STATUS = 130


def end_at_once() -> None:
    """Have them end this process without a word: it has nothing to keep, as while it imports."""
    _handle(lambda number, frame: os._exit(STATUS))


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """Within, they raise KeyboardInterrupt; afterwards they do what they did before."""
    before = _handle(_interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _handle(handler: Callable[[int, FrameType | None], None]) -> dict[int, Any]:
    """Set the handler of all; returns what it replaces."""
    # `nohup`, and a script that runs it in the background, keep it alive.
    numbers = [each for each in ENDINGS if signal.getsignal(each) is not signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in numbers}
