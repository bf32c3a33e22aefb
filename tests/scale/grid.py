"""A grid whose jobs only sleep, fail or die; everything else is a real run."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import psutil
from tests.scale.stand_in import stand_in

from distillation_bench.bench.execution import runner
from distillation_bench.bench.execution.executors.base import Executor
from distillation_bench.bench.execution.jobs import Job
from distillation_bench.bench.execution.progress.utilisation import Usage
from distillation_bench.bench.execution.scheduler import FinishedJob
from distillation_bench.bench.planning.cells import Cell, make_cells
from distillation_bench.bench.planning.configuration.option_values import parse_variant
from distillation_bench.bench.planning.configuration.preset_files import load_preset
from distillation_bench.bench.storage.run_folder import Run, cell_status

VARIANTS = ("kd", "hydra", "hydra+[heads=5,10]", "gauss", "single", "mc-dropout", "ensemble")
DATASETS = ("spiral", "sine")
FAILING, DYING, UNLUCKY = 0.01, 0.002, 0.01
"""Shares of cells that raise, always kill their worker, or kill it at the first attempt."""
SAMPLE = 1000
"""Cells between two looks at the clock and the memory."""


def planned(cells: int) -> list[Cell]:
    """Plan a number of cells as for a real run."""
    seeds = range(-(-cells // (len(DATASETS) * (len(VARIANTS) + 1))))
    config = replace(
        load_preset("quick"),
        datasets=DATASETS,
        variants=tuple(parse_variant(text) for text in VARIANTS),
        seeds=tuple(seeds),
    )
    return make_cells(config)[:cells]


@dataclass
class Sample:
    """A measurement during a run."""

    cells: int
    jobs: int
    seconds: float
    bytes: int


class Sampled(Usage):
    """Usage that looks at the clock and at the driver's memory, too."""

    samples: list[Sample] = []
    cells = 0

    def job_finished(self, finished: FinishedJob) -> None:
        super().job_finished(finished)
        self.cells += finished.job.name.startswith("cell ")
        if self.cells % SAMPLE == 0 and self.cells > len(self.samples) * SAMPLE:
            memory = psutil.Process().memory_info().rss
            passed = time.monotonic() - self._start
            self.samples.append(Sample(self.cells, len(self.spans), passed, memory))


def simulate(folder: Path, cells: int, executor: str, seconds: float) -> list[Sample]:
    """Run the grid on two workers; each cell ends as its fate says, in as many attempts."""
    grid = planned(cells)
    fates = _fates(grid)
    options = runner.RunOptions(
        jobs=2, cache=folder / "cache", executor=executor, devices=("cpu",), command="simulated"
    )
    run = Run(folder / "run")
    with _replaced(fates, seconds, folder):
        runner.run_cells(run, grid, options)
    for cell in grid:
        record = run.record(cell.id)
        assert record is not None, f"{cell.id}: lost"
        fate = fates[cell.id]
        actual = cell_status(record).status, record["timings"]["attempts"]
        failing = {"fails": ("failed", 1), "dies": ("failed", 2), "unlucky": ("done", 2)}
        assert actual == failing.get(fate, ("done", 1)), f"{cell.id}: {fate}, but {actual}"
    return Sampled.samples


def _fates(grid: list[Cell]) -> dict[str, str]:
    chance = random.Random(0)
    names, shares = ("fails", "dies", "unlucky"), (FAILING, DYING, UNLUCKY)
    fates = chance.choices((*names, ""), (*shares, 1 - sum(shares)), k=len(grid))
    return {cell.id: fate for cell, fate in zip(grid, fates, strict=True)}


@contextmanager
def _replaced(fates: dict[str, str], seconds: float, folder: Path) -> Iterator[None]:
    """The runner with jobs that stand in for the real ones."""
    chance = random.Random(1)
    folder.mkdir(parents=True, exist_ok=True)

    def start(executor: Executor, _workplace: Any, _kinds: Any, job: Job) -> Future[Any]:
        fate = fates.get(job.name.removeprefix("cell "), "teacher")
        mark = str(folder / f"mark-{job.name.split()[-1]}")
        return executor.submit(stand_in, fate, durations(job.name), mark, options=job.options)

    @functools.cache
    def durations(name: str) -> float:
        # Spread like the times of methods: most are short, a few ten times as long.
        return seconds * chance.lognormvariate(-0.5, 1.0)

    Sampled.samples = []
    with (
        mock.patch.object(runner, "start_job", start),
        mock.patch.object(runner, "data_jobs", lambda *_: []),
        mock.patch.object(runner, "Usage", Sampled),
    ):
        yield
