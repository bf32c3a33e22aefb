"""Importing the user's code: whatever it raises becomes an error of one line."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Collection, Iterator
from typing import Any, NoReturn

from distillation_bench.bench.common import signals
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.planning.plugins.old_names import with_new_name


@contextlib.contextmanager
def import_errors_in_one_line(name: str, files: Collection[str] = ()) -> Iterator[None]:
    """Turn whatever code raises, and `os._exit`, into a UsageError; Ctrl-C stays what it is.

    Args:
        name: what the message names if no line is known.
        files: of the code; the innermost line of theirs is named.

    Raises:
        UsageError: with the location and the reason.
    """
    with signals.record_interrupts() as interrupts:
        try:
            with _no_exit():
                yield
        except BaseException as error:
            # A plugin may raise KeyboardInterrupt, or turn the user's into another exception.
            if interrupts:
                raise KeyboardInterrupt from None
            location = _location(error, files) or name
            raise UsageError(f"{location}: {_reason(error)}") from None


class Exited(BaseException):
    """The code tried to end the process at once."""


@contextlib.contextmanager
def _no_exit() -> Iterator[None]:
    """Let `os._exit` raise: it would end the program silently, with any status.

    Importing in another process first would notice every way to end it, but would import each
    plugin, and often torch, twice. The other ways (a signal, a crash) do not look like a success.
    """
    modules = [module for module in (os, sys.modules.get("posix")) if module is not None]
    original = os._exit
    importer = os.getpid(), threading.get_ident()

    def exit_(status: int) -> NoReturn:
        # A forked child may exit, and so may the thread that ends a worker without a driver.
        if (os.getpid(), threading.get_ident()) != importer:
            original(status)
        raise Exited(f"os._exit({status}) during the import")

    for module in modules:
        setattr(module, "_exit", exit_)  # noqa: B010
    try:
        yield
    finally:
        for module in modules:
            setattr(module, "_exit", original)  # noqa: B010


def _reason(error: BaseException) -> str:
    """Return what was raised; the exception's own methods may raise in turn."""
    name = type.__getattribute__(type(error), "__name__")
    try:
        text = " ".join(str(error).split())
        if isinstance(error, Exited):
            return text
        return with_new_name(f"{name}: {text}" if text else name, error)
    except BaseException:
        return f"{name}: its message can't be shown"


def _location(error: BaseException, files: Collection[str]) -> str:
    """Return the innermost line of these files that the exception passed; empty if none."""
    location, trace = "", error.__traceback__
    while trace is not None:
        file: Any = trace.tb_frame.f_code.co_filename
        if file in files:
            location = f"{file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return location
