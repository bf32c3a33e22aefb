"""Fixtures: the program, and one undisturbed run to compare with."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.end_to_end.bench_command import GRID, Bench, commands, run_whole, start
from tests.in_process import local_executor

from distillation_bench.bench.cli import main as cli
from distillation_bench.bench.execution.executors.processes import forked_process
from distillation_bench.bench.figures import rendering
from distillation_bench.bench.metrics.registry import METRICS
from distillation_bench.datasets import DATASETS
from distillation_bench.methods import METHODS


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Runs the program in a fresh folder and waits for it."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        process = start(*arguments, folder=tmp_path)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    return run


@pytest.fixture
def in_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Bench]:
    """Runs the program in this process, which has loaded torch; cells run in it, one at a time.

    Figures are drawn in it, too: other processes would import pandas and matplotlib first.
    """
    monkeypatch.chdir(tmp_path)
    registries: list[dict[str, Any]] = [METHODS, DATASETS, METRICS]
    contents = [dict(registry) for registry in registries]
    threads = torch.get_num_threads()
    monkeypatch.setattr(cli, "app", commands())
    monkeypatch.setattr("distillation_bench.bench.execution.runner.LocalExecutor", local_executor)
    monkeypatch.setattr(forked_process, "start_server", lambda: None)
    monkeypatch.setattr(rendering, "cores", lambda: 1)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        jobs = ("--jobs", "1") if arguments[0] == "run" and "--jobs" not in arguments else ()
        monkeypatch.setattr(sys, "argv", ["run_bench.py", *arguments, *jobs])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, int(ended.value.code or 0), out, err)

    yield run
    for registry, before in zip(registries, contents, strict=True):
        registry.clear()
        registry.update(before)
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of the grid by one worker without disturbance."""
    return run_whole(tmp_path_factory.mktemp("reference"), *GRID, "--jobs", "1")
