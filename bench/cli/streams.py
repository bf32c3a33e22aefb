"""Stdout and stderr that survive a closed stream, a full disk and a narrow encoding.

Stdout holds what the user asked for: if it can't be written, that is an error. Stderr holds
messages: no run ends because a message can't be written.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from typing import Any, TextIO, cast

from distillation_bench.bench.common.text import in_ascii

ERRORS = "bench.replace"
"""The name of the error handler that replaces characters which an encoding lacks."""


def prepare() -> None:
    """Prepare the streams of this process, once; a stream that replaces a real one is left alone.

    Tests and libraries replace `sys.stdout` by objects of their own.
    """
    _open_closed_streams()
    codecs.register_error(ERRORS, _replacement)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=ERRORS)
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors=ERRORS)
        sys.stderr = cast(TextIO, _Unfailing(sys.stderr))


def write(text: str, flush: bool = True) -> None:
    """Write text to stdout.

    Raises:
        OSError: it can't be written, for example to a full disk; what is still in the buffer is
            discarded then.
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
    """Discard what is in the buffer of stdout, which Python would try to write when it exits."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Unfailing:
    """A stream that ignores errors: text that can't be written is lost."""

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


def _open_closed_streams() -> None:
    """Connect each closed standard stream to the null device.

    Otherwise the next file that is opened gets its number, and whatever a library or a worker
    prints is written into that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # This gets the lowest free number, which is that of the closed stream.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            # It stays open as long as the process lives.
            file = open(number, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, file)
            setattr(sys, f"__{name}__", file)


def _replacement(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(in_ascii, error.object[error.start : error.end])), error.end
