"""The command line: commands and options, nothing else. Heavy modules are imported by commands."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import sys
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from distillation_bench.bench.cli import streams
from distillation_bench.bench.cli.app import app
from distillation_bench.bench.common import signals
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.text import truncated

# Each module registers its commands, in the order that help shows them in.
# isort: off
import distillation_bench.bench.cli.running
import distillation_bench.bench.cli.inspection
import distillation_bench.bench.cli.compare
import distillation_bench.bench.cli.table
import distillation_bench.bench.cli.plot
import distillation_bench.bench.cli.report
import distillation_bench.bench.cli.upkeep  # noqa: F401
# isort: on


def main() -> None:
    """The program; exit status 0 all fine, 1 some cell failed, 2 wrong usage, 130 interrupted."""
    streams.prepare()
    try:
        with signals.raise_interrupts():
            _check_words(sys.argv[1:])
            status = app(standalone_mode=False)
            streams.write("")
    except TyperException as error:
        # Of an option that does not exist or has a wrong value.
        status = _refused(" ".join(error.format_message().split()))
    except UsageError as error:
        status = _refused(str(error))
    except BrokenPipeError:
        # The reader of a pipe left.
        status = 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        kept = "; finished cells are kept" if sys.argv[1:2] == ["run"] else ""
        status = _refused(f"{where}{error.strerror or error}{kept}")
    except MemoryError:
        status = _refused("there is not enough memory")
    except (KeyboardInterrupt, typer.Abort):
        status = signals.EXIT_STATUS
    with contextlib.suppress(OSError):
        streams.write("")
    sys.exit(status)


def _refused(message: str) -> int:
    """Say why; what a run holds can't steer the terminal. Returns the exit status."""
    print(f"error: {truncated(message, 2000)}", file=sys.stderr)
    return 2


def _check_words(words: Sequence[str]) -> None:
    """Whether all that was typed can be stored and printed; what is empty names nothing.

    Raises:
        UsageError: an argument is empty or not text in UTF-8, or a variable is empty.
    """
    for before, word in itertools.pairwise(["bench", *words]):
        option = re.fullmatch(r"(--[a-z-]+)=", word)
        if option or not word:
            raise UsageError(f"{option[1] if option else before}: is followed by an empty value")
        if not _is_text(word):
            raise UsageError(f"{before} {word}: has a byte that is no {_encoding()}")
    for name in ("BENCH_CACHE", "BENCH_DATA"):
        if os.environ.get(name) == "":
            raise UsageError(f"{name}: is set and empty; give a folder, or unset it")


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _encoding() -> str:
    name = sys.getfilesystemencoding().upper()
    return name if name == "UTF-8" else f"{name}, which Python uses here; PYTHONUTF8=1 changes it"
