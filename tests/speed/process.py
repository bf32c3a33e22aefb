"""Measure a command with all processes that it starts.

`python -m tests.speed.process COMMAND` is the process that measures, and has no other children.
What outlives the command is waited for and counted too. Linux alone tells all of this.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

SUBREAPER = 36
"""Of prctl: who is orphaned below this process becomes its child, whose time it is then told."""
POLL_SECONDS = 0.05
"""Seconds between two looks at the memory."""
MEMORY = "--memory"


class Cost(NamedTuple):
    """What a command took.

    Attributes:
        wall: seconds until it ended.
        cpu: seconds of processors, in the program and in the system.
        memory: the most at any time, in MiB, each shared page counted once; 0: not looked at.
    """

    wall: float
    cpu: float
    memory: float = 0.0


def cost_of(command: Sequence[str], folder: Path, memory: bool = False) -> Cost:
    """Run a command in a folder.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    watcher = [sys.executable, "-m", __name__, *([MEMORY] if memory else []), *command]
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "FOLDER": str(folder)}
    completed = subprocess.run(
        watcher, check=True, stdout=subprocess.PIPE, env=environment, cwd=root
    )
    return Cost(**json.loads(completed.stdout))


def watch(command: Sequence[str], folder: Path, memory: bool) -> Cost:
    """Run the command as the only child of this process."""
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended, peaks = threading.Event(), [0.0]
    poller = threading.Thread(target=_record_peaks, args=(ended, peaks))
    start = time.perf_counter()
    child = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    if memory:
        poller.start()
    status = child.wait()
    wall = time.perf_counter() - start
    ended.set()
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    if status:
        raise subprocess.CalledProcessError(status, list(command))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall, used.ru_utime + used.ru_stime, max(peaks))


def _record_peaks(ended: threading.Event, peaks: list[float]) -> None:
    while not ended.wait(POLL_SECONDS):
        peaks.append(sum(map(_share, _below(os.getpid()))) / 2**10)


def _below(process: int) -> Iterator[int]:
    """Return all processes below a process."""
    for file in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, file.read_text().split()):
                yield child
                yield from _below(child)


def _share(process: int) -> int:
    """Return the KiB of a process, shared pages counted in proportion (PSS)."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


if __name__ == "__main__":
    command = sys.argv[1:]
    with_memory = MEMORY in command[:1]
    print(
        json.dumps(watch(command[with_memory:], Path(os.environ["FOLDER"]), with_memory)._asdict())
    )
