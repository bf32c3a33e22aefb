"""The tables of what was simulated and read."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

from bench.places import ROOT
from tests.scale.grid import SAMPLE, Sample, simulate
from tests.speed.toy import generated, large_selectors

MIB = 2**20
Row = dict[str, str]


def run_row(folder: Path, executor: str, cells: int, seconds: float) -> Row:
    """A simulated grid on an executor."""
    start = time.perf_counter()
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
        samples = simulate(folder, cells, executor, seconds)
    whole = time.perf_counter() - start
    first, last = samples[0], samples[-1]
    before = samples[-2] if len(samples) > 1 else first
    return {
        "executor": executor,
        "cells": f"{last.cells:,}",
        "whole run": f"{whole:.0f} s",
        "ms a cell": f"{1000 * last.seconds / last.cells:.1f}",
        f"of cells {SAMPLE:,} to {2 * SAMPLE:,}": _each(samples[:2]),
        f"of the last {SAMPLE:,}": _each([before, last]),
        f"driver's memory after {SAMPLE:,}": f"{first.bytes / MIB:.0f} MiB",
        "at the end": f"{last.bytes / MIB:.0f} MiB",
    }


def _each(samples: list[Sample]) -> str:
    passed = samples[-1].seconds - samples[0].seconds
    return f"{1000 * passed / max(1, samples[-1].cells - samples[0].cells):.1f} ms"


def read_rows(folder: Path, cells: int) -> list[Row]:
    """Each command on a generated run."""
    run = generated(folder / "large", cells)
    commands = {
        "plan": ("plan", *large_selectors(cells), "--results", str(run)),
        "status": ("status", str(run)),
        "board": ("board", str(run)),
        "compare": ("compare", str(run), "--baseline", "kd"),
        "table": ("table", str(run)),
        "report --no-figures": ("report", str(run), "--no-figures"),
        "report": ("report", str(run)),
        "verify": ("verify", str(run)),
        "export": ("export", str(run), "--out", str(folder / "all.csv")),
    }
    return [{"command": name, **_command(*each)} for name, each in commands.items()]


def _command(*arguments: str) -> Row:
    """Wall time and peak memory of the program, its children's memory not counted."""
    start = time.perf_counter()
    command = [sys.executable, str(ROOT / "run_bench.py"), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    assert process.stderr is not None
    error = process.stderr.read().decode().strip().splitlines()
    told = f"status {os.waitstatus_to_exitcode(status)}: {error[-1:]}" if status else ""
    return {"seconds": f"{seconds:.1f}", "MiB": f"{usage.ru_maxrss / 2**10:.0f}", "": told}
