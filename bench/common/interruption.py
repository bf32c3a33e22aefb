"""Ctrl-C, SIGTERM and the end of the terminal: they end the program alike, with status 130.

Imports next to nothing: it is what the program begins with.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
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
        _restore(before)


@contextlib.contextmanager
def told(tell: Callable[[], None]) -> Iterator[None]:
    """Within, the first calls this, and one that comes later raises KeyboardInterrupt.

    An exception at any moment can leave a lock held that other threads wait for: there the main
    thread raises it by itself, where it holds none; here at the end, unless it has. In another
    thread nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    asked = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        _handle(_interrupt)
        tell()

    before = _handle(handle)
    try:
        yield
    finally:
        _restore(before)
    if asked:
        raise KeyboardInterrupt


@contextlib.contextmanager
def noted() -> Iterator[list[int]]:
    """Within, those that raise KeyboardInterrupt are also noted in the list that this gives.

    Code that catches the exception, or raises one of its own, can't hide whether the user asked.
    """
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def note(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in ENDINGS}
    raising = {
        n: each for n, each in before.items() if each in (_interrupt, signal.default_int_handler)
    }
    for number in raising:
        signal.signal(number, note)
    try:
        yield asked
    finally:
        _restore({n: each for n, each in raising.items() if signal.getsignal(n) is note})


@contextlib.contextmanager
def kept_from_children() -> Iterator[None]:
    """Processes that are started within are not reached by what a terminal sends to all of its own.

    They end when this one tells them to.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _handle(handler: Callable[[int, FrameType | None], None]) -> dict[int, Any]:
    """Set the handler of all; returns what it replaces."""
    # `nohup`, and a script that runs it in the background, keep it alive.
    numbers = [each for each in ENDINGS if signal.getsignal(each) is not signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in numbers}


def _restore(before: dict[int, Any]) -> None:
    for number, handler in before.items():
        signal.signal(number, handler)
