"""What `export` writes and reports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from distillation_bench.bench.storage.run_folder import Run

MakeRun = Callable[..., Run]
Program = Callable[..., tuple[int, str, str]]


def test_damaged_histories_are_named_and_left_out(
    tmp_path: Path, complete_run: MakeRun, program: Program
) -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    run = complete_run(tmp_path / "r", [("d", "a", 0), ("d", "a", 1)])
    run.paths("d.a.s0").history.write_text("loss\nabc\n")
    status, out, error = program("export", "r", "--tensorboard", "tb")
    message = "r/cells/d.a.s0/history.csv: damaged: its SHA-256 is wrong"
    assert (status, error) == (0, f"{message}, left out\n") and out.startswith(
        "curves of 1 cell in"
    )
    status, out, _ = program("why", "r", "d", "a", "0")
    assert status == 0 and f"training: left out, {message}" in out


def test_a_written_table_is_reported_on_stderr(
    tmp_path: Path, complete_run: MakeRun, program: Program
) -> None:
    complete_run(tmp_path / "r", [("d", "a", 0)])
    assert program("export", "r", "--out", "t.csv") == (0, "", "t.csv: 3 rows\n")
