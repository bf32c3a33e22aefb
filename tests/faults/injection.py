"""Random kills of the processes of a run, with checks after each one."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from tests.end_to_end.bench_command import records

from distillation_bench.bench.common.paths import ROOT
from distillation_bench.bench.storage.run_folder import Run, cell_status

PLUGIN = '''
import os
from distillation_bench.methods import register
from distillation_bench.methods.kd import KD

@register
class Counted(KD):
    """KD that notes each time that it is started."""

    name = "counted"

    def build(self, generator):
        with open(os.environ["STARTS"], "a") as file:
            file.write(f"{self.parameters.temperature} {generator.initial_seed()}\\n")
        return super().build(generator)
'''
GRID = (
    *("-m", "counted[temperature=1,2,3]", "-m", "ensemble", "-d", "spiral", "-d", "sine"),
    *("-s", "0-1", "--set", "epochs=20", "--set", "members=4", "--set", "piece=2"),
    *("--set", "test_examples=300", "--jobs", "2", "--checkpoint", "0"),
)
COUNTED, CELLS = 12, 16
RETRIES = 1
LONGEST = 300.0


@dataclass
class Outcome:
    """The outcome of all rounds."""

    kills: Counter[str] = field(default_factory=Counter)
    resumed: int = 0
    retried: int = 0
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        kills = ", ".join(f"{count} of {who}" for who, count in sorted(self.kills.items()))
        wrong = "\n".join(self.faults) or "no cell lost, doubled or changed"
        return (
            f"{self.kills.total()} kills ({kills}), {self.resumed} runs resumed, "
            f"{self.retried} with failed cells run again: {wrong}"
        )


class Injector:
    """Kills processes of runs over a small grid.

    Args:
        folder: where runs go.
        options: more options for `run`, e.g. of the executor.
        seed: of the moments and victims.
    """

    def __init__(self, folder: Path, options: tuple[str, ...] = (), seed: int = 0) -> None:
        self.folder = folder
        self.options = options
        self.random = random.Random(seed)
        self.outcome = Outcome()
        (folder / "counted.py").write_text(PLUGIN)
        start = time.monotonic()
        assert self._start("reference").wait(LONGEST) == 0
        self.seconds = time.monotonic() - start
        self.expected = _tables(folder / "reference")

    def round(self) -> int:
        """One run with kills at random moments, resumed after each end; returns how many."""
        before = self.outcome.kills.total()
        name = f"run-{before}"
        finished: dict[str, int] = {}
        process = self._start(name)
        for _ in range(self.random.randint(2, 6)):
            time.sleep(self.random.uniform(0, self.seconds / 2))
            if process.poll() is None:
                self._kill_one(process, name)
            elif process.returncode in (0, 1):
                break
            else:
                finished |= self._well(name)
                self.outcome.resumed += 1
                process = self._start(name)
        code = process.wait(LONGEST)
        self._check_attempts(name)
        finished |= self._well(name)
        if code not in (0, 1):
            self.outcome.resumed += 1
            code = self._start(name).wait(LONGEST)
        if code == 1:
            self.outcome.retried += 1
            code = self._start(name, "--retry-failed").wait(LONGEST)
        if code != 0:
            self.outcome.faults.append(f"{name}: status {code}; see {name}.log")
        if again := finished.items() - records(self.folder / name).items():
            self.outcome.faults.append(f"{name}: finished and run again: {sorted(again)}")
        kills = self.outcome.kills.total() - before
        self._check(name, kills)
        return kills

    def _well(self, name: str) -> dict[str, int]:
        """Return the done cells and when each was written."""
        run = Run(self.folder / name)
        written = records(self.folder / name)
        return {
            file: moment
            for file, moment in written.items()
            if cell_status(run.record(file.removesuffix(".json"))).status == "done"
        }

    def _start(self, name: str, *more: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(ROOT / "run_bench.py"), "run", *GRID, *self.options, *more]
        command += ["--plugin", "counted.py", "--results", name, "--cache", f"{name}-cache"]
        environment = {**os.environ, "STARTS": str(self.folder / f"{name}.starts")}
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log
            )

    def _kill_one(self, process: subprocess.Popen[bytes], name: str) -> None:
        """Kill the driver or any process below it: fork servers, workers, nannies."""
        driver = psutil.Process(process.pid)
        victims = [(process.pid, "the driver")]
        victims += [(child.pid, "workers") for child in driver.children(recursive=True)]
        # The driver is killed as often as one of the others.
        number = self.random.choice([0, self.random.randrange(len(victims))])
        pid, who = victims[number]
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.outcome.kills[who] += 1

    def _check_attempts(self, name: str) -> None:
        for path in (self.folder / name / "cells").glob("*.json"):
            attempts = json.loads(path.read_bytes())["timings"].get("attempts", 1)
            if attempts > 1 + RETRIES:
                self.outcome.faults.append(f"{name}: {path.stem} was tried {attempts} times")

    def _check(self, name: str, kills: int) -> None:
        run = self.folder / name
        if _tables(run) != self.expected:
            self.outcome.faults.append(f"{name}: results.csv or metrics.csv differ")
            return
        starts = Counter((self.folder / f"{name}.starts").read_text().splitlines())
        if len(starts) != COUNTED or len(records(run)) != CELLS:
            self.outcome.faults.append(f"{name}: {len(starts)} cells started, {COUNTED} expected")
        # Each kill interrupts a cell at most once.
        for cell, count in starts.items():
            if count > 1 + kills:
                self.outcome.faults.append(f"{name}: {cell} ran {count} times, {kills} kills")


def _tables(run: Path) -> list[bytes]:
    names = ("results.csv", "metrics.csv")
    return [(run / name).read_bytes() if (run / name).exists() else b"" for name in names]


def injected(kills: int, options: tuple[str, ...], seed: int) -> Iterator[Outcome]:
    """Rounds until there were so many kills; the outcome so far after each."""
    with tempfile.TemporaryDirectory() as folder:
        injector = Injector(Path(folder), options, seed)
        while injector.outcome.kills.total() < kills:
            injector.round()
            yield injector.outcome
