"""Cells that take no time by themselves: what is left is what a cell costs, whatever it trains.

Whole processes, with all that they start, beside benchopt's on a grid of the same size, and beside
another checkout of this repository: in turn, since a machine is faster at one time than at another.
Times of processors are steadier than the clock where others use the machine too.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.speed.measure import JOBS, Row, ratios, summary
from tests.speed.process import Cost, cost_of

from distillation_bench.bench.common.paths import ROOT

SEEDS = 10
DATASETS = ("spiral", "sine", "digits")
VARIANTS = (
    *("ensemble", "single", "kd[temperature=1,2,4]", "hydra", "hydra+[lam=0,3]"),
    *("mc-dropout", "gauss"),
)
CELLS = f"{len(DATASETS)} datasets x 10 variants x {SEEDS} seeds"


@dataclass(frozen=True)
class Program:
    """A program that runs a grid.

    Attributes:
        name: in the table.
        command: given an empty folder, gets it ready and says how to run the grid there.
    """

    name: str
    command: Callable[[Path], list[str]]


@dataclass(frozen=True)
class Measured:
    """The costs of a program for the grid, and for the same command again."""

    first: Cost
    again: Cost


def rows(rounds: int, benchopt: Path | None = None, checkout: Path | None = None) -> list[Row]:
    """The grid in each program.

    Args:
        rounds: how often.
        benchopt: its program, of an environment of its own; `pip install benchopt`.
        checkout: another checkout of this repository, run by this one's environment.
    """
    programs = [Program("ours", lambda folder: ours(ROOT, folder))]
    if checkout is not None:
        programs.append(Program(f"ours at {commit(checkout)}", lambda at: ours(checkout, at)))
    if benchopt is not None:
        programs.append(Program("benchopt", lambda folder: theirs(benchopt, folder)))
        if has_torch(benchopt):
            name = "benchopt, whose solver imports torch"
            programs.append(Program(name, lambda folder: theirs(benchopt, folder, "import torch")))
    measured = [[measure(program) for program in programs] for _ in range(rounds)]
    peaks = [measure(program, memory=True).first.memory for program in programs]
    table = [
        row
        for program, costs, peak in zip(programs, zip(*measured, strict=True), peaks, strict=True)
        for row in rows_of(program.name, costs, peak)
    ]
    for program, costs in zip(programs[1:], list(zip(*measured, strict=True))[1:], strict=True):
        table += compared(program.name, [costs_in_round[0] for costs_in_round in measured], costs)
    return table


def rows_of(name: str, costs: Sequence[Measured], peak: float) -> list[Row]:
    """Return the rows of a program."""
    return [
        (
            f"{name}: {CELLS}, {JOBS} workers",
            summary([cost.first.wall for cost in costs]),
            "",
        ),
        ("  of processors", summary([cost.first.cpu for cost in costs]), ""),
        ("  again, nothing to do", summary([cost.again.wall for cost in costs]), ""),
        ("  of processors", summary([cost.again.cpu for cost in costs]), ""),
        ("  memory of all processes at most", f"{peak:,.0f} MiB", ""),
    ]


def compared(name: str, mine: Sequence[Measured], theirs: Sequence[Measured]) -> list[Row]:
    """Return the ratios within each round."""

    def ratio(figure: Callable[[Measured], float]) -> str:
        return summary(ratios([*map(figure, mine)], [*map(figure, theirs)]), "x")

    return [
        (f"ours / {name}", ratio(lambda cost: cost.first.wall), ""),
        ("  of processors", ratio(lambda cost: cost.first.cpu), ""),
        ("  again, nothing to do", ratio(lambda cost: cost.again.wall), ""),
    ]


def measure(program: Program, memory: bool = False) -> Measured:
    """Measure the grid without a cache, then the same command again."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        command = program.command(folder)
        return Measured(cost_of(command, folder, memory), cost_of(command, folder))


def ours(checkout: Path, folder: Path) -> list[str]:
    """Two members, one epoch: networks of some thousand weights."""
    variants = [part for variant in VARIANTS for part in ("-m", variant)]
    datasets = [part for dataset in DATASETS for part in ("-d", dataset)]
    size = ["-s", f"0-{SEEDS - 1}", "--set", "epochs=1", "--set", "members=2"]
    where = ["--results", str(folder / "run"), "--cache", str(folder / "cache")]
    program = [sys.executable, str(checkout / "run_bench.py"), "run"]
    return [*program, *variants, *datasets, *size, *where, "--jobs", str(JOBS)]


def commit(checkout: Path) -> str:
    """Return the commit of another checkout."""
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty=+"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def has_torch(benchopt: Path) -> bool:
    """Whether benchopt's environment has torch."""
    command = [str(benchopt.parent / "python"), "-c", "import torch"]
    return subprocess.run(command, capture_output=True).returncode == 0


def theirs(benchopt: Path, folder: Path, imports: str = "") -> list[str]:
    """Twenty steps of gradient descent on a line."""
    (folder / "objective.py").write_text(OBJECTIVE)
    for kind in ("datasets", "solvers"):
        (folder / kind).mkdir()
    for name in DATASETS:
        (folder / "datasets" / f"{name}.py").write_text(DATASET.format(name=name, seeds=SEEDS))
    (folder / "solvers" / "descent.py").write_text(SOLVER.format(imports=imports))
    return [str(benchopt), "run", str(folder), "-j", str(JOBS), "--no-plot"]


OBJECTIVE = """
import numpy as np
from benchopt import BaseObjective


class Objective(BaseObjective):
    name = "error"
    sampling_strategy = "run_once"

    def set_data(self, x, y):
        self.x, self.y = x, y

    def get_objective(self):
        return {"x": self.x, "y": self.y}

    def evaluate_result(self, w):
        return {"value": float(((self.x @ w - self.y) ** 2).mean())}

    def get_one_result(self):
        return {"w": np.zeros(self.x.shape[1])}
"""
DATASET = """
import numpy as np
from benchopt import BaseDataset


class Dataset(BaseDataset):
    name = "{name}"
    parameters = {{"seed": list(range({seeds}))}}

    def get_data(self):
        rng = np.random.default_rng(self.seed)
        x = rng.normal(size=(240, 20))
        return {{"x": x, "y": x @ rng.normal(size=20)}}
"""
SOLVER = """
import numpy as np
from benchopt import BaseSolver
{imports}


class Solver(BaseSolver):
    name = "descent"
    sampling_strategy = "run_once"
    parameters = {{"rate": [0.01 * k for k in range(1, 11)]}}

    def set_objective(self, x, y):
        self.x, self.y = x, y

    def run(self, _):
        w = np.zeros(self.x.shape[1])
        for _ in range(20):
            w -= self.rate * self.x.T @ (self.x @ w - self.y) / len(self.y)
        self.w = w

    def get_result(self):
        return {{"w": self.w}}
"""
