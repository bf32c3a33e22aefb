"""Running the program as a user does: in a process and a folder of its own."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
VARIANTS = ("kd", "hydra+[heads=2,4]", "hydra", "mc-dropout", "gauss", "endd", "single", "ensemble")
GRID = (
    *(text for variant in VARIANTS for text in ("-m", variant)),
    *("-d", "spiral", "-d", "digits-0-7", "-d", "sine", "-s", "0-1"),
    *("--set", "epochs=2", "--set", "members=3", "--set", "test_examples=90"),
)
"""52 cells, and 2 to skip, with 2 teachers per dataset; they run in seconds."""
SHORT = GRID[-6:]
"""The recipe of the grid."""

Bench = Callable[..., subprocess.CompletedProcess[str]]


def command(*arguments: str) -> list[str]:
    """Return the command line of the program with these arguments."""
    return [sys.executable, str(ROOT / "run_bench.py"), *arguments]


def start(
    *arguments: str, folder: Path, session: bool = False, **environment: str
) -> subprocess.Popen[str]:
    """Start the program with more environment variables; `session` gives it its own session."""
    return subprocess.Popen(
        command(*arguments),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=session,
        env={**os.environ, **environment},
        # A process started in the background ignores Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def run_whole(folder: Path, *arguments: str) -> Path:
    """Run the program without disturbance, and return the folder of the run."""
    process = start("run", *arguments, *folders("run"), folder=folder)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return folder / "run"


@functools.cache
def commands() -> Any:
    """Return the commands of the program, made once: that takes longer than most of them do."""
    from typer.main import get_command

    from distillation_bench.bench.cli.app import app

    return get_command(app)


def folders(name: str) -> tuple[str, ...]:
    """Return the options for a run's folder and a cache of its own beside it."""
    return "--results", name, "--cache", f"{name}-cache"


def tables(run: Path) -> tuple[bytes, bytes]:
    """Return the tables that equal runs have equal to the bit."""
    return (run / "results.csv").read_bytes(), (run / "metrics.csv").read_bytes()


def records(run: Path) -> dict[str, int]:
    """Return the names of the records, and when each was written in nanoseconds."""
    return {path.name: path.stat().st_mtime_ns for path in (run / "cells").glob("*.json")}
