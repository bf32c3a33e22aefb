"""The time from a kill until the cell runs again."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.end_to_end.bench_command import SHORT, folders, start
from tests.end_to_end.dask_cluster import cluster, kill_all

PLUGIN = '''
import os, time
from distillation_bench.methods import register
from distillation_bench.methods.kd import KD

@register
class Slow(KD):
    """KD that notes when it starts, and takes its time."""

    name = "slow"

    def build(self, generator):
        with open(os.environ["STARTS"], "a") as file:
            file.write(f"{generator.initial_seed()} {os.getpid()} {time.time()}\\n")
        time.sleep(1)
        return super().build(generator)
'''
PATIENCE = 120.0


class Start(NamedTuple):
    """The start of a cell."""

    cell: str
    pid: int
    moment: float


class Run:
    """A run of cells that record when they start."""

    def __init__(self, folder: Path, cells: int, *options: str) -> None:
        self.starts = folder / "starts"
        (folder / "slow.py").write_text(PLUGIN)
        os.environ["STARTS"] = str(self.starts)
        grid = ("-m", "slow", "-d", "spiral", "-s", f"0-{cells - 1}", *SHORT)
        arguments = (*grid, *folders("run"), "--plugin", "slow.py", *options)
        self.process = start("run", *arguments, folder=folder)

    def wait(
        self, cell: str | None = None, skipped: tuple[str, ...] = (), number: int = 1
    ) -> Start:
        """Wait for the n-th start of a cell, or of any cell that is not skipped."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "the run ended"
            text = self.starts.read_text() if self.starts.exists() else ""
            lines = [line.split() for line in text.splitlines()]
            starts = [Start(name, int(pid), float(moment)) for name, pid, moment in lines]
            matching = [s for s in starts if s.cell == cell or (not cell and s.cell not in skipped)]
            if len(matching) >= number:
                return matching[number - 1]
            time.sleep(0.001)
        raise AssertionError("no cell starts")

    def end(self) -> None:
        """Wait for the end of the run and check that all cells are done."""
        _, err = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0, err


def killed_cell(executor: str, kills: int) -> list[float]:
    """Seconds from the kill of a cell's process until its next attempt begins, kill by kill."""
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder), kills, "--executor", executor, "--jobs", "2")
        seconds: list[float] = []
        started_cells: tuple[str, ...] = ()
        for _ in range(kills):
            first = run.wait(skipped=started_cells)
            started_cells = (*started_cells, first.cell)
            killed = time.time()
            os.kill(first.pid, signal.SIGKILL)
            seconds.append(run.wait(first.cell, number=2).moment - killed)
        run.end()
    return seconds


def killed_worker() -> float:
    """The same when a Dask worker is killed with all its processes, and another one is free."""
    with (
        tempfile.TemporaryDirectory() as root,
        cluster(Path(root) / "cluster") as dask,
    ):
        os.environ["STARTS"] = str(Path(root) / "starts")
        workers = [dask.worker() for _ in range(2)]
        run = Run(Path(root), 1, *dask.options)
        first = run.wait()
        killed = time.time()
        # A worker and what it started are a session of their own.
        for worker in workers:
            if os.getsid(first.pid) == worker.pid:
                kill_all(worker)
        seconds = run.wait(first.cell, number=2).moment - killed
        run.end()
    return seconds
