"""SIGTERM in a worker: a training ends with its epoch and a checkpoint, all else at once.

Clusters send it before they kill, and so does a run that is interrupted.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

GRACE = 10.0
"""Seconds that a worker has from SIGTERM until it is killed."""
_asked = threading.Event()
_postponed = threading.Event()


def await_sigterm() -> None:
    """Make this process end in that way."""
    signal.signal(signal.SIGTERM, _handle)


def asked() -> bool:
    """Whether this process is to end."""
    return _asked.is_set()


def end() -> None:
    """End as a process does that SIGTERM has killed."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)


@contextlib.contextmanager
def postponed() -> Iterator[None]:
    """The code within asks by itself whether to end, and does so."""
    _postponed.set()
    try:
        yield
    finally:
        _postponed.clear()
    if asked():
        end()


def _handle(number: int, frame: object) -> None:
    _asked.set()
    if not _postponed.is_set():
        end()
