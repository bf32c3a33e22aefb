"""How the program was started, as a command that is recorded, or printed to be typed again."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from distillation_bench.bench.common.paths import PACKAGE

SCRIPT = "distillation-bench"
PROGRAMS = (("python", "run_bench.py"), ("python", "-m", PACKAGE), (SCRIPT,))
"""The ways to start the program: in a clone, as a module, as the installed command."""


def recorded_command() -> str:
    """Return the command as it was typed, without the folders of Python and of the program."""
    file = Path(sys.argv[0]).name
    if _is_module():
        program = ["python", "-m", PACKAGE]
    elif file == SCRIPT:
        program = [SCRIPT]
    else:
        program = ["python", file]
    return shlex.join([*program, *sys.argv[1:]])


def command_here(*arguments: str) -> str:
    """Return a command with these arguments that works in the current folder."""
    python = sys.executable
    with contextlib.suppress(ValueError):
        python = str(Path(python).relative_to(Path.cwd()))
    file = sys.argv[0]
    if _is_module():
        program = [python, "-m", PACKAGE]
    elif Path(file).name == SCRIPT:
        program = [SCRIPT if _is_in_path(file) else file]
    else:
        program = [python, file]
    return shlex.join([*program, *arguments])


KEPT = "finished cells are kept"
RESUMABLE = f"{KEPT}, and the same command resumes the run"
"""What a message says after a run has ended early."""


def resume_command() -> str:
    """Return the same command without `--force`, which would run finished cells again."""
    return command_here(*(argument for argument in sys.argv[1:] if argument != "--force"))


def split_program(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split a recorded command into the program and its arguments.

    The program is empty if it is not this one.
    """
    for program in PROGRAMS:
        if tuple(words[: len(program)]) == program:
            return list(program), list(words[len(program) :])
    return [], list(words)


def _is_module() -> bool:
    file = Path(sys.argv[0])
    return file.name == "__main__.py" and file.parent.name == PACKAGE


def _is_in_path(script: str) -> bool:
    """Return whether a shell finds the script by its name."""
    path = shutil.which(SCRIPT)
    return path is not None and Path(path).resolve() == Path(script).resolve()
