"""Importing code of the user's: whatever goes wrong then is told in one line."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Collection, Iterator
from typing import Any, NoReturn

from distillation_bench.bench.common import signals
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.paths import FOLDERS, PACKAGE


@contextlib.contextmanager
def as_a_mistake(place: str, files: Collection[str] = ()) -> Iterator[None]:
    """Turn all that code raises, `os._exit` too, into one line; Ctrl-C stays what it is.

    Args:
        place: what to name where no file can be named.
        files: the code's; the innermost line of theirs is named.

    Raises:
        UsageError: with the place and the reason.
    """
    with signals.record_interrupts() as interrupted:
        try:
            with _no_exit():
                yield
        except BaseException as error:
            # A plugin may raise a KeyboardInterrupt of its own, or make another exception of one.
            if interrupted:
                raise KeyboardInterrupt from None
            raise UsageError(f"{_line(error, place, files)}: {_reason(error)}") from None


class Exited(BaseException):
    """The code asked to end the process at once."""


@contextlib.contextmanager
def _no_exit() -> Iterator[None]:
    """`os._exit` raises: else a plugin could end the program with status 0 and not a word.

    A trial in a process of its own would find all ways to end it, and import each plugin, and with
    it often torch, twice. Other ways (a signal, a crash) are no silent success.
    """
    ways = [(module, "_exit") for module in (os, sys.modules.get("posix")) if module is not None]
    kept = os._exit
    here = os.getpid(), threading.get_ident()

    def leave(status: int) -> NoReturn:
        # A forked child, and a thread that ends a worker whose driver is gone, may.
        if (os.getpid(), threading.get_ident()) != here:
            kept(status)
        raise Exited(f"os._exit({status}) while it was imported")

    for module, name in ways:
        setattr(module, name, leave)
    try:
        yield
    finally:
        for module, name in ways:
            setattr(module, name, kept)


def _reason(error: BaseException) -> str:
    """What was raised; its own methods may raise in turn."""
    name = type.__getattribute__(type(error), "__name__")
    try:
        text = " ".join(str(error).split())
    except BaseException:
        text = "its message can't be shown"
    if isinstance(error, Exited):
        return text
    return f"{name}: {text}{_new_name(error)}" if text else name


def _new_name(error: BaseException) -> str:
    """Return a hint for plugins that import a folder by the name that it had before 0.1.0."""
    folder = str(error.name).partition(".")[0] if isinstance(error, ImportError) else ""
    return f"; this suite's is {PACKAGE}.{folder}" if folder in FOLDERS else ""


def _line(error: BaseException, place: str, files: Collection[str]) -> str:
    """The innermost line of the code's own files that it came through, else the place."""
    found, trace = place, error.__traceback__
    while trace is not None:
        file: Any = trace.tb_frame.f_code.co_filename
        if file in files:
            found = f"{file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found
