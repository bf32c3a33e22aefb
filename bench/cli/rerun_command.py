"""The command that runs one cell of a run again."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.program import split_program
from distillation_bench.bench.planning.configuration.option_values import parse_variant
from distillation_bench.bench.storage.run_folder import Run

SELECTION = ("-m", "--method", "-d", "--dataset", "-s", "--seeds")
"""Options that choose cells; each takes a value."""
REPEATS = ("--force", "--retry-failed", "--fail-fast")


def rerun_command(run: Run, manifest: Mapping[str, Any], cell: Mapping[str, Any]) -> str:
    """Return the command that runs this cell again, or the reason why it is not known.

    It is the command of the run with other cells selected. Where the label does not stand for the
    variant on the command line, its record is deleted and the run is resumed.
    """
    recorded = run.paths(cell["id"]).record.exists()
    title = "run it again" if recorded else "run it"
    command = (manifest.get("command") or "python run_bench.py run").partition(" && ")[0]
    try:
        program, arguments = split_program(shlex.split(command))
    except ValueError as error:
        return f"{title}\n  unknown how: the run's command can't be read ({error}): {command}"
    if not program or arguments[:1] != ["run"]:
        # The user may paste what is printed: no command of another program is passed on.
        reason = "the run's command is not one of this program"
        return f"{title}\n  unknown how: {reason}: {command}"
    arguments = _without(_without(arguments, SELECTION), ("--results",), flags=REPEATS)
    arguments = [*program, *arguments, "--results", str(run.folder)]
    if _label_is_variant(cell):
        selection = ["-m", cell["label"], "-d", cell["dataset"], "-s", str(cell["seed"])]
        force = ["--force"] if recorded else []
        return f"{title}\n  {shlex.join([*arguments, *selection, *force])}"
    arguments += ["-d", cell["dataset"], "-s", str(cell["seed"])]
    remove = f"rm -f {shlex.quote(str(run.paths(cell['id']).record))} && " if recorded else ""
    return f"{title} (its label is a preset's own)\n  {remove}{shlex.join(arguments)}"


def _label_is_variant(cell: Mapping[str, Any]) -> bool:
    """Return whether `-m LABEL` gives this variant; a preset may choose any label."""
    try:
        variant = parse_variant(cell["label"])
    except UsageError:
        return False
    values = {name: choices[0] for name, choices in variant.values.items() if len(choices) == 1}
    if len(values) != len(variant.values) or variant.method != cell["method"]:
        return False
    return all(_equal(cell["parameters"].get(name), value) for name, value in values.items())


def _equal(value: Any, text: Any) -> bool:
    if isinstance(value, (int, float)) and isinstance(text, (int, float)):
        return math.isclose(value, text, rel_tol=1e-5)
    return str(value).replace(" ", "").lower() == str(text).replace(" ", "").lower()


def _without(
    arguments: Sequence[str], options: Sequence[str], flags: Sequence[str] = ()
) -> list[str]:
    """Return a command without flags and without options that take a value, however written."""
    remaining: list[str] = []
    iterator: Iterator[str] = iter(arguments)
    for argument in iterator:
        if argument in options:
            next(iterator, "")
        elif argument not in flags and not any(_is_joined(argument, name) for name in options):
            remaining.append(argument)
    return remaining


def _is_joined(argument: str, option: str) -> bool:
    """Return whether an argument is an option joined with its value: `--seeds=0` or `-s0`."""
    if option.startswith("--"):
        return argument.startswith(f"{option}=")
    return argument.startswith(option) and not argument.startswith("--")
