"""Whole cells of a method: repeated in one process, and resumed in another one.

The process that resumes a cell has only what the checkpoint holds. Its order of sets and its
unseeded random streams are different, too.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from distillation_bench.bench.check import processor_time
from distillation_bench.bench.check.checks import ContractBroken, require
from distillation_bench.bench.check.method_under_test import MethodUnderTest
from distillation_bench.bench.check.synthetic_data import SOURCES
from distillation_bench.bench.common.paths import IMPORT_FOLDER, SAFE_PATH
from distillation_bench.bench.execution.executors.base import describe_failure
from distillation_bench.bench.planning.plugins.installed_plugins import load_installed
from distillation_bench.bench.planning.plugins.loading import load_plugins
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.bench.training import cell
from distillation_bench.bench.training.hardware.compute import prepare_process
from distillation_bench.bench.training.optimization.checkpoints import Checkpoint
from distillation_bench.methods import METHODS

ValueTexts = dict[str, str]
"""All values of a cell as text, by name."""
Resume = Callable[[str, Path], None]
"""Resumes the interrupted cells of a plugin in a folder, in another process."""
RESUME_SECONDS = 120.0
"""The most processor time that the other process may take."""
INTERRUPTED_FILE, RESUMED_FILE = "interrupted.json", "resumed.json"
"""The methods and tasks of interrupted cells; the values of the cells that were resumed."""


class Repeatability:
    """Checks whole cells of a plugin's methods.

    Args:
        plugin: the path of the plugin.
        folder: where checkpoints of interrupted cells are left.
        resume: resumes all of them at once, since a new process takes seconds to start.
    """

    def __init__(self, plugin: str, folder: Path, resume: Resume | None = None) -> None:
        self._plugin = plugin
        self._folder = folder
        self._resume = resume or resume_in_new_process
        self._uninterrupted: dict[tuple[str, str], ValueTexts] = {}
        self._resumed: dict[str, Any] | None = None

    def check_repeated(self, method: MethodUnderTest) -> None:
        """Check that a cell gives the same finite headline values twice; then interrupt cells."""
        values = cell_values(method, noise=1)
        bad = [name for name, value in values.items() if _is_bad(name, value)]
        require(not bad, f"not finite: {', '.join(bad)}")
        difference = _first_difference(values, cell_values(method, noise=2))
        require(not difference, f"run twice, {difference}; draw from the given generator alone")
        for epochs in method.interruptions():
            _interrupt(method, self._folder, epochs)
        self._uninterrupted[method.name, method.task] = values

    def check_resumed(self, name: str, task: str) -> None:
        """Check that interrupted cells have the same values when another process resumes them."""
        values = self._uninterrupted.get((name, task))
        if values is None:
            raise ContractBroken("there is no run to resume")
        for epochs, resumed in self._resumed_values()[f"{name} {task}"]:
            if isinstance(resumed, str):
                raise ContractBroken(f"resumed after {epochs} epochs: {resumed}")
            difference = _first_difference(values, resumed)
            require(
                not difference,
                f"resumed in another process after {epochs} epochs, {difference}; keep state "
                "in parameters and buffers of student and stages, and nothing in the process",
            )

    def _resumed_values(self) -> dict[str, Any]:
        if self._resumed is None:
            interrupted = json.dumps(list(self._uninterrupted))
            (self._folder / INTERRUPTED_FILE).write_text(interrupted)
            self._resume(self._plugin, self._folder)
            self._resumed = json.loads((self._folder / RESUMED_FILE).read_text())
        return self._resumed


def cell_values(
    method: MethodUnderTest, noise: int, checkpoint: Checkpoint | None = None
) -> ValueTexts:
    """Run a cell and return all its values; `noise` seeds the streams that the method must not use.

    The cell is trained and evaluated by the same functions as in a run.
    """
    prepare_process()
    random.seed(noise)
    inputs = cell.CellInputs(
        method=method.make(),
        data=method.data,
        teacher=method.teacher,
        recipe=method.recipe,
        sources=SOURCES,
        seed=0,
        dataset="check",
    )
    trained = cell.build_and_train(inputs, checkpoint)
    _seed_global_streams(noise)
    measured = cell.measure(inputs, trained.network)
    values = {f"headline {name}": repr(value) for name, value in measured.headline.items()}
    for row in trained.history:
        start = f"epoch {row['epoch']} of {row['stage']}: "
        values |= {start + name: repr(value) for name, value in row.items()}
    for entry in measured.sets:
        parts = (str(entry[name]) for name in ("set", "shift", "severity") if entry[name])
        key = "/".join(parts)
        values |= {f"{name} on {key}": repr(value) for name, value in entry["values"].items()}
    for name, array in measured.curves.items():
        values[name] = hashlib.sha256(array.tobytes()).hexdigest()
    return values


def _seed_global_streams(noise: int) -> None:
    random.seed(noise)
    np.random.seed(noise)
    torch.manual_seed(noise)


def _is_bad(name: str, value: str) -> bool:
    return name.startswith("headline") and value in ("nan", "inf", "-inf")


def _first_difference(first: Mapping[str, str], second: Mapping[str, str]) -> str:
    """Describe the first value that differs; return an empty text if none does."""
    for name in [*first, *second]:
        value, repeated = first.get(name, "missing"), second.get(name, "missing")
        if value != repeated:
            return f"{name} is {value[:20]}, then {repeated[:20]}"
    return ""


class _Interrupted(BaseException):
    """Ends a training as a kill does."""


class _InterruptingCheckpoint(Checkpoint):
    """Saves the state of each epoch, and interrupts the training after some of them."""

    def __init__(self, cache: Cache, key: str, epochs: int) -> None:
        super().__init__(cache, key, 0.0)
        self._epochs_left = epochs

    def save(self, state: Mapping[str, Any], history: Sequence[Any]) -> None:
        """Save the state, then interrupt the training if it is time to."""
        super().save(state, history)
        self._epochs_left -= 1
        if not self._epochs_left:
            raise _Interrupted


def _key(method: MethodUnderTest, epochs: int) -> str:
    return f"{hashlib.sha256(method.name.encode()).hexdigest()[:16]}.{method.task}.{epochs}"


def _interrupt(method: MethodUnderTest, folder: Path, epochs: int) -> None:
    """Run a cell that leaves a checkpoint after some epochs."""
    try:
        key = _key(method, epochs)
        cell_values(method, 3, _InterruptingCheckpoint(Cache(folder), key, epochs))
    except _Interrupted:
        return


# The other process


def resume_in_new_process(plugin: str, folder: Path) -> None:
    """Call `resume_cells` in a new process with other hashes of text.

    Raises:
        ContractBroken: the process computes for too long, or ends without a result.
    """
    path = os.pathsep.join(filter(None, [str(IMPORT_FOLDER), os.environ.get("PYTHONPATH")]))
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    done = subprocess.run(
        [sys.executable, "-m", __name__, plugin, str(folder), str(RESUME_SECONDS)],
        env={**os.environ, SAFE_PATH: "1", "PYTHONPATH": path, "PYTHONHASHSEED": seed},
        capture_output=True,
        check=False,
    )
    if done.returncode == -signal.SIGXCPU:
        raise ContractBroken(
            f"in another process it took more than {RESUME_SECONDS:g} s of processor time"
        )
    if not (folder / RESUMED_FILE).exists():
        *_, last_line = ["", *done.stderr.decode(errors="replace").split("\n")[:-1]]
        raise ContractBroken(
            f"the process that resumes ended with status {done.returncode}: {last_line}"
        )


def resume_cells(plugin: str, folder: Path) -> None:
    """Resume all interrupted cells in a folder, and write their values into a file."""
    prepare_process()
    load_installed()
    load_plugins([plugin])
    resumed: dict[str, list[tuple[int, ValueTexts | str]]] = {}
    for name, task in json.loads((folder / INTERRUPTED_FILE).read_text()):
        method = MethodUnderTest(METHODS[name], task)
        resumed[f"{name} {task}"] = [
            (epochs, _resume(method, folder, epochs)) for epochs in method.interruptions()
        ]
    (folder / RESUMED_FILE).write_text(json.dumps(resumed))


def _resume(method: MethodUnderTest, folder: Path, epochs: int) -> ValueTexts | str:
    """Return the values of a resumed cell, or why it failed."""
    try:
        return cell_values(method, 4, Checkpoint(Cache(folder), _key(method, epochs), 0.0))
    except (Exception, SystemExit, GeneratorExit) as error:
        return describe_failure(error)[0]


if __name__ == "__main__":
    processor_time.limit(float(sys.argv[3]))
    resume_cells(sys.argv[1], Path(sys.argv[2]))
