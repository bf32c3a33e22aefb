"""SIGINT (Ctrl-C), SIGTERM and SIGHUP: how they end the program, and how SIGTERM ends a worker.

The program ends with status 130, whichever of the three it receives. A worker that receives
SIGTERM finishes the epoch of a training and writes a checkpoint; anything else it stops at once.
Clusters send SIGTERM before they kill a process, and so does a run that is interrupted.

This module imports next to nothing: the program starts with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
EXIT_STATUS = 130
GRACE_SECONDS = 10.0
"""Time that a worker has between SIGTERM and SIGKILL."""

Handler = Callable[[int, FrameType | None], None]

# The program


def exit_on_signals() -> None:
    """Let the signals end this process silently, while it has nothing to clean up."""
    _set_handlers(lambda number, frame: os._exit(EXIT_STATUS))


@contextlib.contextmanager
def raise_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt on each signal; restore the handlers at the end of the block."""
    previous = _set_handlers(_interrupt)
    try:
        yield
    finally:
        _restore_handlers(previous)


@contextlib.contextmanager
def on_first_signal(callback: Callable[[], None]) -> Iterator[None]:
    """Call a function on the first signal, and raise KeyboardInterrupt on a later one.

    KeyboardInterrupt at an arbitrary moment can leave a lock held that other threads wait for.
    Here the caller raises it where it holds no lock; if it does not, the end of the block does.
    In a thread other than the main one nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    received = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal received
        received = True
        _set_handlers(_interrupt)
        callback()

    previous = _set_handlers(handle)
    try:
        yield
    finally:
        _restore_handlers(previous)
    if received:
        raise KeyboardInterrupt


@contextlib.contextmanager
def record_interrupts() -> Iterator[list[int]]:
    """Yield a list of the signals that raised KeyboardInterrupt within the block.

    The list shows whether the user interrupted the program, even if the code within the block
    catches the exception or raises a KeyboardInterrupt of its own.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def record(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    interrupting = (_interrupt, signal.default_int_handler)
    previous = {number: handlers[number] for number in SIGNALS if handlers[number] in interrupting}
    for number in previous:
        signal.signal(number, record)
    try:
        yield received
    finally:
        # The code may have set a handler of its own.
        unchanged = [number for number in previous if signal.getsignal(number) is record]
        _restore_handlers({number: previous[number] for number in unchanged})


@contextlib.contextmanager
def shield_children() -> Iterator[None]:
    """Keep the signals of the terminal from processes that are started within the block.

    Their parent ends them instead.
    """
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _set_handlers(handler: Handler) -> dict[int, Any]:
    """Set the handler of all signals that are not ignored; return the previous handlers."""
    # `nohup` and background jobs of a script ignore signals, and must go on doing so.
    numbers = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in numbers}


def _restore_handlers(previous: dict[int, Any]) -> None:
    for number, handler in previous.items():
        signal.signal(number, handler)


# A worker

_requested = threading.Event()
_postponed = threading.Event()


def terminate_on_sigterm() -> None:
    """Let SIGTERM end this process, at once or after a `postpone_termination` block."""
    signal.signal(signal.SIGTERM, _handle_sigterm)


def termination_requested() -> bool:
    """Return whether this process has received SIGTERM."""
    return _requested.is_set()


def terminate() -> None:
    """End this process with the exit status of a process that SIGTERM has killed."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)


@contextlib.contextmanager
def postpone_termination() -> Iterator[None]:
    """Do not end on SIGTERM within the block, whose code checks `termination_requested` itself."""
    _postponed.set()
    try:
        yield
    finally:
        _postponed.clear()
    if termination_requested():
        terminate()


def _handle_sigterm(number: int, frame: object) -> None:
    _requested.set()
    if not _postponed.is_set():
        terminate()
