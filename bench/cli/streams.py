"""Stdout and stderr that no message fails on: closed, full, or without the characters.

What goes to stdout was asked for: that it can't be written is an error. What goes to stderr is only
a message: no run ends because it can't be written.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from typing import Any, TextIO, cast

from distillation_bench.bench.common.text import in_ascii

STAND_IN = "bench.stand-in"


def prepare() -> None:
    """For this process, once; a stream that stands in for a real one stays as it is."""
    _open_closed()
    codecs.register_error(STAND_IN, _stand_in)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=STAND_IN)
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors=STAND_IN)
        sys.stderr = cast(TextIO, _Unfailing(sys.stderr))


def write(text: str, flush: bool = True) -> None:
    """Write to stdout, and on to what it is if it is to be flushed.

    Raises:
        OSError: it can't be written, as to a full disk; nothing is left to be written then.
    """
    try:
        sys.stdout.write(text)
        if flush:
            sys.stdout.flush()
    except OSError as error:
        discard()
        error.filename = error.filename or "stdout"
        raise


def discard() -> None:
    """Let go of what is left for stdout: Python would complain once more when it ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Unfailing:
    """A stream; what can't be written to it is lost."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str, /) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _open_closed() -> None:
    """Give each stream that is closed a place where nothing is.

    Otherwise the next file that is opened takes its number, and what a library or a worker prints
    is written into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            # As long as the process lives.
            file = open(number, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, file)
            setattr(sys, f"__{name}__", file)


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(in_ascii, error.object[error.start : error.end])), error.end
