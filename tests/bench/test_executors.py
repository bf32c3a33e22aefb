"""Processes that fail, hang and die."""

from __future__ import annotations

import math
import operator
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.executors import (
    InProcess,
    Parcel,
    ProcessPerTask,
    TaskFailed,
    TimedOut,
    WorkerDied,
    WorkerLost,
    describe_failure,
)
from bench.places import ROOT
from bench.workplace import in_worker

Processes = Callable[..., ProcessPerTask]


def test_answers_and_failures(processes: Processes) -> None:
    executor = processes(2)
    assert executor.submit(operator.add, 2, 3).result(60) == 5
    with pytest.raises(TaskFailed, match="ValueError: ") as caught:
        executor.submit(math.sqrt, -1).result(60)
    assert "Traceback" in caught.value.details
    assert executor.submit(in_worker, "environment").result(60)["threads"] == 1


def test_a_death_takes_one_task_alone(processes: Processes) -> None:
    executor = processes(3)
    innocent = [executor.submit(time.sleep, 0.5) for _ in range(2)]
    killed = executor.submit(signal.raise_signal, signal.SIGKILL)
    left = executor.submit(os._exit, 3)
    with pytest.raises(WorkerDied, match="killed by SIGKILL"):
        killed.result(60)
    with pytest.raises(WorkerDied, match="ended with status 3"):
        left.result(60)
    assert [future.result(60) for future in innocent] == [None, None]


def test_a_timeout_is_a_kill(processes: Processes) -> None:
    executor = processes(1, timeout=0.5)
    assert executor.submit(operator.add, 1, 1).result(60) == 2
    with pytest.raises(TimedOut, match=r"took longer than 0\.5 s"):
        executor.submit(time.sleep, 600).result(60)
    assert executor.submit(operator.add, 1, 2).result(60) == 3


def test_a_timeout_is_meant_for_some_tasks(processes: Processes) -> None:
    executor = processes(1, timeout=0.5)
    assert executor.submit(time.sleep, 1.0, parcel=Parcel(timed=False)).result(60) is None
    with pytest.raises(TimedOut):
        executor.submit(time.sleep, 1.0).result(60)


def test_an_exit_is_a_failure_of_the_task(processes: Processes) -> None:
    for executor in (processes(1), InProcess()):
        with pytest.raises(TaskFailed, match="SystemExit: 0"):
            executor.submit(sys.exit, 0).result(60)


def test_a_killed_server_is_started_again(processes: Processes) -> None:
    executor = processes(1)
    assert executor.submit(operator.add, 1, 1).result(60) == 2
    server = executor.submit(os.getppid).result(60)
    os.kill(server, signal.SIGKILL)
    assert executor.submit(operator.add, 1, 2).result(60) == 3
    assert executor.submit(os.getppid).result(60) != server


def test_out_of_memory_on_the_device_says_what_to_lower() -> None:
    class OutOfMemoryError(RuntimeError): ...

    line, _, _ = describe_failure(OutOfMemoryError("CUDA out of memory.\nTried 2 GiB"))
    assert line == (
        "OutOfMemoryError: lower --cells-per-gpu or --set batch_size "
        "(CUDA out of memory. Tried 2 GiB)"
    )


def test_ctrl_c_does_not_reach_the_task(processes: Processes) -> None:
    assert processes(1).submit(signal.raise_signal, signal.SIGINT).result(60) is None


def test_stop_ends_what_runs(processes: Processes) -> None:
    executor = processes(2)
    running = executor.submit(time.sleep, 600)
    while not running.running():
        time.sleep(0.01)
    executor.stop()
    with pytest.raises(WorkerLost):
        running.result(60)


def test_in_process_fails_alike() -> None:
    with pytest.raises(TaskFailed, match="ValueError"):
        InProcess().submit(math.sqrt, -1).result()


ORPHAN = """
import os, sys, time
sys.path.insert(0, {root!r})
from bench.executors import ProcessPerTask
if __name__ == "__main__":
    executor = ProcessPerTask(1)
    print(executor.submit(os.getpid).result(), flush=True)
    future = executor.submit(time.sleep, 600)
    while not executor._running:
        time.sleep(0.01)
    print([process.pid for process in executor._running][0], flush=True)
    time.sleep(600)
"""


def test_a_killed_driver_leaves_no_worker(tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(ORPHAN.format(root=str(ROOT)))
    driver = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    driver.stdout.readline()
    worker = int(driver.stdout.readline())
    driver.kill()
    driver.wait()
    for _ in range(500):
        if not _alive(worker):
            return
        time.sleep(0.02)
    pytest.fail("the worker outlived its driver by 10 s")


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
