"""The latency of a variant is measured in one of its cells, despite failures and interruptions."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from tests.in_process import InProcess

from distillation_bench.bench.execution import runner
from distillation_bench.bench.execution.executors.base import DEFAULT_OPTIONS, JobFailed, JobOptions
from distillation_bench.bench.execution.jobs import RunCell
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.storage.formats.schema import LATENCY
from distillation_bench.bench.storage.run_folder import Run
from distillation_bench.bench.training.cell_result import CellResult

Plan = Callable[..., list[Cell]]


class Trained(InProcess):
    """Runs cells in no time; some fail, and one interrupts the run."""

    def __init__(self, failing: Sequence[int] = (), interrupted_at: int = -1) -> None:
        self.failing = failing
        self.interrupted_at = interrupted_at
        self.cells = 0

    def submit(
        self, function: Callable[..., Any], *arguments: Any, options: JobOptions = DEFAULT_OPTIONS
    ) -> Future[Any]:
        future: Future[Any] = Future()
        work = arguments[1]
        if not isinstance(work, RunCell):
            future.set_result(None)
            return future
        self.cells += 1
        if self.cells == self.interrupted_at:
            raise KeyboardInterrupt
        timings = {"seconds": 1.0, **({LATENCY: 0.5} if work.measure_latency else {})}
        if work.cell.seed in self.failing:
            future.set_exception(JobFailed("diverged", ""))
        else:
            future.set_result(CellResult({}, [], timings, {}, [], {}))
        return future


@pytest.fixture
def measured(
    cells: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[tuple[str, str]]]:
    """measured(executor, **options): run the remaining cells; return those with a latency."""
    planned, run = cells("kd", "hydra", seeds=range(4)), Run(tmp_path / "run")
    monkeypatch.setattr(runner, "data_jobs", lambda *_: [])

    def ran(executor: Trained, **options: Any) -> list[tuple[str, str]]:
        monkeypatch.setattr(runner, "_start_executor", lambda *_: executor)
        runner.run_cells(run, planned, runner.RunOptions(1, tmp_path / "cache", **options))
        with (run.folder / "cells.csv").open() as file:
            rows = list(csv.DictReader(file))
        return sorted((row["label"], row["seed"]) for row in rows if row[LATENCY])

    return ran


Measured = Callable[..., list[tuple[str, str]]]


def test_one_cell_of_a_variant_measures_its_latency(measured: Measured) -> None:
    assert measured(Trained()) == [("hydra", "0"), ("kd", "0")]


def test_if_that_cell_fails_the_next_one_measures_it(measured: Measured) -> None:
    assert measured(Trained(failing=(0, 1))) == [("hydra", "2"), ("kd", "2")]
    again = measured(Trained(), retry_failed=True)
    assert again == [("hydra", "2"), ("kd", "2")]


def test_a_resumed_run_measures_missing_latencies(measured: Measured) -> None:
    with pytest.raises(KeyboardInterrupt):
        measured(Trained(interrupted_at=2))
    latencies = measured(Trained())
    assert [label for label, _ in latencies] == ["hydra", "kd"]


def test_cells_that_are_run_again_measure_it_again(measured: Measured) -> None:
    before = measured(Trained())
    assert measured(Trained(), force=True) == before
