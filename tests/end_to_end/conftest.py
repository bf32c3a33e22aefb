"""Fixtures: the program, and one undisturbed run to compare with."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.program import GRID, Bench, places, start


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Runs the program in a fresh folder and waits for it."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        process = start(*arguments, folder=tmp_path)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    return run


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The grid, run undisturbed in this one process's own way: `--jobs 1`."""
    folder = tmp_path_factory.mktemp("reference")
    process = start("run", *GRID, "--jobs", "1", *places("run"), folder=folder)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return folder / "run"
