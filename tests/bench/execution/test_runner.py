"""Running the same command again reads each record once and starts and writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from tests.in_process import InProcess
from typer.testing import CliRunner

from distillation_bench.bench.cli.app import app
from distillation_bench.bench.execution import runner
from distillation_bench.bench.execution.executors.base import DEFAULT_OPTIONS, JobFailed, JobOptions
from distillation_bench.bench.execution.executors.processes import forked_process
from distillation_bench.bench.execution.jobs import RunCell
from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.storage import tables as derived
from distillation_bench.bench.storage.run_folder import Record, Run
from distillation_bench.bench.training.cell_result import CellResult

Plan = Callable[..., list[Cell]]
TABLES = ("results.csv", "metrics.csv", "cells.csv", "derived.json", "run.json")


class Trained(InProcess):
    """Runs cells in no time; those of some seeds fail."""

    def __init__(self, *failing: int) -> None:
        self.failing = failing

    def submit(
        self, function: Callable[..., Any], *arguments: Any, options: JobOptions = DEFAULT_OPTIONS
    ) -> Future[Any]:
        future: Future[Any] = Future()
        work = arguments[1]
        if isinstance(work, RunCell) and work.cell.seed in self.failing:
            future.set_exception(JobFailed("diverged", ""))
        else:
            future.set_result(CellResult({}, [], {"seconds": 1.0}, {}, [], {}))
        return future


@pytest.fixture
def run_again(
    cells: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[bool, Run]]:
    """run_again(executor): run the remaining cells; return whether all are done, and the run."""
    planned, run = cells("kd", "hydra", seeds=range(2)), Run(tmp_path / "run")
    monkeypatch.setattr(runner, "data_jobs", lambda *_: [])

    def ran(executor: InProcess | None) -> tuple[bool, Run]:
        def start(*_: Any) -> InProcess:
            assert executor is not None, "something is started"
            return executor

        monkeypatch.setattr(runner, "_start_executor", start)
        return runner.run_cells(run, planned, runner.RunOptions(1, tmp_path / "cache")), run

    return ran


RunAgain = Callable[..., tuple[bool, Run]]


def test_a_second_run_reads_each_record_once_and_writes_nothing(
    run_again: RunAgain, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_again(Trained())[0]
    read: list[str] = []

    def record(run: Run, cell_id: str) -> Record | None:
        read.append(cell_id)
        return original(run, cell_id)

    original = Run.record
    monkeypatch.setattr(Run, "record", record)
    run = run_again(None)[1]
    assert len(read) == len(set(read)) == 4
    before = {name: (run.folder / name).stat().st_mtime_ns for name in TABLES}
    assert run_again(None)[0]
    assert {name: (run.folder / name).stat().st_mtime_ns for name in TABLES} == before


def test_cells_that_failed_before_still_count_as_failed(run_again: RunAgain) -> None:
    assert not run_again(Trained(1))[0]
    assert not run_again(None)[0]


@pytest.mark.parametrize("table", TABLES[:4])
def test_a_changed_table_is_written_again(run_again: RunAgain, table: str) -> None:
    path = run_again(Trained())[1].folder / table
    content = path.read_bytes()
    for change in (content[:-1], b""):
        path.write_bytes(change)
        run_again(None)
        assert path.read_bytes() == content
    path.unlink()
    run_again(None)
    assert path.read_bytes() == content


def test_tables_of_another_version_are_written_again(
    run_again: RunAgain, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_again(Trained())[1]
    before = (run.folder / "results.csv").stat().st_ino
    monkeypatch.setattr(derived, "tables_code", lambda: "later")
    run_again(None)
    assert (run.folder / "results.csv").stat().st_ino != before


def test_no_server_is_started_for_a_finished_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Path] = []
    monkeypatch.setattr(forked_process, "start_server", lambda: started.append(tmp_path))
    monkeypatch.setattr(runner, "run_cells", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    command = ["run", "-m", "kd", "-d", "sine", "-s", "0", "--jobs", "2", "--results"]
    CliRunner().invoke(app, [*command, str(tmp_path)])
    assert len(started) == 1
    (tmp_path / "derived.json").touch()
    CliRunner().invoke(app, [*command, str(tmp_path)])
    assert len(started) == 1
