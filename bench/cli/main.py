"""The program: runs the command that was typed, and ends with its exit status."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import sys
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from distillation_bench.bench.cli import streams, typer_messages
from distillation_bench.bench.cli.app import app
from distillation_bench.bench.common import errors, signals
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.program import RESUMABLE
from distillation_bench.bench.common.text import truncated


def main() -> None:
    """Run the command of sys.argv and exit.

    The exit status is 0 if all is well, 1 if cells failed or a check did, 2 for wrong usage, 130
    if interrupted.
    """
    streams.prepare()
    errors.word(str)
    try:
        status = _run_command()
    except BrokenPipeError:
        # The reader of a pipe, such as `head`, has left.
        status = 0
    except (KeyboardInterrupt, typer.Abort):
        status = signals.EXIT_STATUS
    except (TyperException, UsageError, OSError, MemoryError) as error:
        print(f"error: {truncated(_message(error), 2000)}", file=sys.stderr)
        status = 2
    with contextlib.suppress(OSError):
        streams.write("")
    sys.exit(status)


def _run_command() -> int | None:
    with signals.raise_interrupts():
        _check_arguments(sys.argv[1:])
        if sys.argv[1:2] == ["help"]:
            sys.argv[1:] = [*sys.argv[2:], "--help"]
        status: int | None = app(standalone_mode=False)
        streams.write("")
    return status


def _message(error: BaseException) -> str:
    """Return the message of an error, in one line."""
    if isinstance(error, TyperException):
        return typer_messages.message(error)
    if isinstance(error, OSError):
        prefix = f"{error.filename}: " if error.filename else ""
        suffix = f"; {RESUMABLE}" if sys.argv[1:2] == ["run"] else ""
        return f"{prefix}{error.strerror or error}{suffix}"
    return "there is not enough memory" if isinstance(error, MemoryError) else str(error)


def _check_arguments(arguments: Sequence[str]) -> None:
    """Check that all arguments can be stored and printed, and that none is empty.

    Raises:
        UsageError: an argument is empty or not valid UTF-8, or an environment variable is empty.
    """
    for previous, argument in itertools.pairwise(["bench", *arguments]):
        option = re.fullmatch(r"(--[a-z-]+)=", argument)
        if option or not argument:
            raise UsageError(f"{option[1] if option else previous}: the value is empty")
        if not _is_text(argument):
            raise UsageError(f"{previous} {argument}: is not valid {_encoding()}")
    for variable in ("BENCH_CACHE", "BENCH_DATA"):
        if os.environ.get(variable) == "":
            raise UsageError(f"{variable}: is set and empty; give a folder, or unset it")


def _is_text(argument: str) -> bool:
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True


def _encoding() -> str:
    name = sys.getfilesystemencoding().upper()
    return name if name == "UTF-8" else f"{name}, which Python uses here; PYTHONUTF8=1 changes it"
