"""A whole cell, as a run makes it: twice here, and interrupted and gone on with elsewhere.

What a checkpoint doesn't hold is not there in the process that goes on. Python's order of sets and
the streams that nobody seeds are others there, too.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from distillation_bench.bench.check.method_trial import TestBed
from distillation_bench.bench.check.promises import Broken, require
from distillation_bench.bench.check.small_data import RECIPE, SOURCES
from distillation_bench.bench.common.paths import IMPORT_FOLDER
from distillation_bench.bench.execution.executors import describe_failure
from distillation_bench.bench.planning.plugins.installed_plugins import load_installed
from distillation_bench.bench.planning.plugins.loading import load_plugins
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.bench.training import student
from distillation_bench.bench.training.checkpoints import Checkpoint
from distillation_bench.bench.training.evaluation import cost
from distillation_bench.bench.training.evaluation.evaluate import evaluate
from distillation_bench.bench.training.hardware.compute import prepare_process
from distillation_bench.methods import METHODS

Values = dict[str, str]
"""All that a cell gives, by name."""
Names = tuple[str, str]
"""A method and a task."""
ELSEWHERE_SECONDS = 120.0
BEGUN, FOUND = "begun.json", "found.json"


class Journeys:
    """The cells of a plugin's methods.

    Args:
        plugin: its path.
        folder: where checkpoints are left.
        elsewhere: goes on with all of them in another process, given plugin and folder.
    """

    def __init__(
        self, plugin: str, folder: Path, elsewhere: Callable[[str, Path], None] | None = None
    ) -> None:
        self._plugin = plugin
        self._folder = folder
        self._elsewhere = elsewhere or go_on_elsewhere
        self._begun: dict[Names, Values] = {}
        self._found: dict[str, Any] | None = None

    def repeat(self, bed: TestBed) -> None:
        """A cell gives finite headline values, and the same ones again; leave it interrupted."""
        values = whole(bed, noise=1)
        bad = [name for name, value in values.items() if _is_bad(name, value)]
        require(not bad, f"not finite: {', '.join(bad)}")
        differing = _difference(values, whole(bed, noise=2))
        require(not differing, f"run twice, {differing}; draw from the given generator alone")
        for epochs in range(1, RECIPE.epochs):
            _interrupted(bed, self._folder, epochs)
        self._begun[bed.kind.name, bed.task] = values

    def resume(self, name: str, task: str) -> None:
        """An interrupted cell that another process goes on with gives the same values."""
        values = self._begun.get((name, task))
        require(values is not None, "there is no run to go on with")
        for epochs, found in enumerate(self._gone_on()[f"{name} {task}"], 1):
            if isinstance(found, str):
                raise Broken(f"gone on with after {epochs} epochs: {found}")
            assert values is not None
            differing = _difference(values, found)
            require(
                not differing,
                f"gone on with in another process after {epochs} epochs, {differing}; keep state "
                "in parameters and buffers of student and stages, and nothing in the process",
            )

    def _gone_on(self) -> dict[str, Any]:
        if self._found is None:
            (self._folder / BEGUN).write_text(json.dumps(list(self._begun)))
            self._elsewhere(self._plugin, self._folder)
            self._found = json.loads((self._folder / FOUND).read_text())
        return self._found


def whole(bed: TestBed, noise: int, checkpoint: Checkpoint | None = None) -> Values:
    """All that a cell gives, with streams that nobody seeds somewhere else for each noise."""
    method = bed.anew()
    random.seed(noise)
    network = student.build(method, 0, "check")
    history = student.train_student(
        method, network, bed.data, bed.teacher, RECIPE, 0, "check", checkpoint=checkpoint
    )
    _disturb(noise)
    headline, sets, curves = evaluate(method, network, bed.data, bed.teacher, SOURCES, 0, "check")
    values = {f"headline {name}": repr(value) for name, value in headline.items()}
    for row in history:
        start = f"epoch {row['epoch']} of {row['stage']}: "
        values |= {start + name: repr(value) for name, value in row.items()}
    for each in sets:
        place = "/".join(str(each[name]) for name in ("set", "shift", "severity") if each[name])
        values |= {f"{name} on {place}": repr(value) for name, value in each["values"].items()}
    values |= {name: hashlib.sha256(each.tobytes()).hexdigest() for name, each in curves.items()}
    return values | {name: repr(n) for name, n in cost.counts(method, network, _some(bed)).items()}


def _some(bed: TestBed) -> torch.Tensor:
    return bed.data.inputs(bed.data.validation.x)


def _disturb(noise: int) -> None:
    random.seed(noise)
    np.random.seed(noise)
    torch.manual_seed(noise)


def _is_bad(name: str, value: str) -> bool:
    return name.startswith("headline") and value in ("nan", "inf", "-inf")


def _difference(first: Mapping[str, str], second: Mapping[str, str]) -> str:
    """The first value that differs, in words; empty if none does."""
    for name in [*first, *second]:
        one, other = first.get(name, "missing"), second.get(name, "missing")
        if one != other:
            return f"{name} is {one[:20]}, then {other[:20]}"
    return ""


class _Cut(Checkpoint):
    """Kept each epoch, of which only some are run."""

    def __init__(self, cache: Cache, key: str, epochs: int) -> None:
        super().__init__(cache, key, 0.0)
        self._left = epochs

    def save(self, state: Mapping[str, Any], history: Sequence[Any]) -> None:
        super().save(state, history)
        self._left -= 1
        if not self._left:
            raise _Interrupted


class _Interrupted(BaseException):
    """As by a kill."""


def _key(bed: TestBed, epochs: int) -> str:
    return f"{hashlib.sha256(bed.kind.name.encode()).hexdigest()[:16]}.{bed.task}.{epochs}"


def _interrupted(bed: TestBed, folder: Path, epochs: int) -> None:
    try:
        whole(bed, 3, _Cut(Cache(folder), _key(bed, epochs), epochs))
    except _Interrupted:
        return


# Elsewhere


def go_on_elsewhere(plugin: str, folder: Path) -> None:
    """`go_on` in a new process, whose hashes of text are others."""
    path = os.pathsep.join(filter(None, [str(IMPORT_FOLDER), os.environ.get("PYTHONPATH")]))
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": seed}
    command = [
        sys.executable,
        "-m",
        "distillation_bench.bench.check.whole_cell",
        plugin,
        str(folder),
    ]
    try:
        done = subprocess.run(
            command, env=environment, timeout=ELSEWHERE_SECONDS, capture_output=True, check=False
        )
    except subprocess.TimeoutExpired:
        raise Broken(f"in another process it took longer than {ELSEWHERE_SECONDS:g} s") from None
    if not (folder / FOUND).exists():
        *_, last = ["", *done.stderr.decode(errors="replace").split("\n")[:-1]]
        raise Broken(f"the process that goes on ended with status {done.returncode}: {last}")


def go_on(plugin: str, folder: Path) -> None:
    """Go on with all that was begun, and write down what it gives."""
    prepare_process()
    load_installed()
    load_plugins([plugin])
    found: dict[str, list[Values | str]] = {}
    for name, task in json.loads((folder / BEGUN).read_text()):
        bed = TestBed(METHODS[name], task)
        found[f"{name} {task}"] = [_gone_on(bed, folder, n) for n in range(1, RECIPE.epochs)]
    (folder / FOUND).write_text(json.dumps(found))


def _gone_on(bed: TestBed, folder: Path, epochs: int) -> Values | str:
    try:
        return whole(bed, 4, Checkpoint(Cache(folder), _key(bed, epochs), 0.0))
    except (Exception, SystemExit, GeneratorExit) as error:
        return describe_failure(error)[0]


if __name__ == "__main__":
    go_on(sys.argv[1], Path(sys.argv[2]))
