"""The tables of simulated runs and of commands that read a run."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.scale.grid import SAMPLE, Sample, simulate
from tests.speed.measure import ratios, summary
from tests.speed.toy import generated, large_selectors, seconds_of

from distillation_bench.bench.common.paths import ROOT

MIB = 2**20
Row = dict[str, str]


def run_row(folder: Path, executor: str, cells: int, seconds: float) -> Row:
    """Measure a simulated grid on an executor."""
    start = time.perf_counter()
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
        samples = simulate(folder, cells, executor, seconds)
    elapsed = time.perf_counter() - start
    first, last = samples[0], samples[-1]
    before = samples[-2] if len(samples) > 1 else first
    return {
        "executor": executor,
        "cells": f"{last.cells:,}",
        "jobs, teachers' too": f"{last.jobs:,}",
        "whole run": f"{elapsed:.0f} s",
        "a job": f"{1000 * last.seconds / last.jobs:.1f} ms",
        f"of the second {SAMPLE:,} cells": _seconds_per_cell(samples[:2]),
        f"of the last {SAMPLE:,}": _seconds_per_cell([before, last]),
        f"driver's memory after {SAMPLE:,}": f"{first.bytes / MIB:.0f} MiB",
        "at the end": f"{last.bytes / MIB:.0f} MiB",
    }


def _seconds_per_cell(samples: list[Sample]) -> str:
    passed = samples[-1].seconds - samples[0].seconds
    return f"{1000 * passed / max(1, samples[-1].jobs - samples[0].jobs):.1f} ms"


def pair_rows(folder: Path, preset: str, rounds: int) -> list[Row]:
    """Measure a preset on each executor in turn, and their ratio round by round."""
    seconds: dict[str, list[float]] = {"local": [], "dask": []}
    for number in range(rounds):
        for executor, times in seconds.items():
            run_folder = folder / f"{executor}-{number}"
            folders = ("--results", str(run_folder / "run"), "--cache", str(run_folder / "cache"))
            options = ("--executor", executor, "--jobs", "2")
            times.append(seconds_of("run", "--preset", preset, *options, *folders))
    rows = [{"executor": name, "whole process": summary(times)} for name, times in seconds.items()]
    efficiency = ratios(seconds["local"], seconds["dask"])
    return [*rows, {"executor": "local / dask", "whole process": summary(efficiency, "x")}]


def read_rows(folder: Path, cells: int) -> list[Row]:
    """Measure each command on a generated run."""
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
    rows = []
    for name, arguments in commands.items():
        rows.append({"command": name, **_command(*arguments)})
        print(*rows[-1].values(), file=sys.stderr, flush=True)
    return rows


# A small process in between, because a child starts with its parent's memory.
_BETWEEN = """
import resource, subprocess, sys, time
start = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(seconds, peak / 2**10, done.returncode, *done.stderr.splitlines()[-1:])
"""


def _command(*arguments: str) -> Row:
    """Wall time and peak memory of the program or, if larger, of one of its children."""
    command = [sys.executable, "-c", _BETWEEN, sys.executable, str(ROOT / "run_bench.py")]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=True)
    seconds, peak, status, *error = done.stdout.split(maxsplit=3)
    failure = "" if status == "0" else f"status {status}: {' '.join(error).strip()}"
    return {"seconds": f"{float(seconds):.1f}", "MiB": f"{float(peak):.0f}", "": failure}
