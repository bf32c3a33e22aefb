"""Errors while `clean` works."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from distillation_bench.bench.storage.run_folder import Run

MakeRun = Callable[..., Run]
Program = Callable[..., tuple[int, str, str]]


def test_a_full_disk_is_reported_without_advice_to_resume(
    tmp_path: Path, complete_run: MakeRun, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device", "r/results.csv")

    complete_run(tmp_path / "r")
    monkeypatch.setattr("distillation_bench.bench.storage.upkeep.clean.clean", full)
    message = "error: r/results.csv: No space left on device\n"
    assert program("clean", "r") == (2, "", message)
