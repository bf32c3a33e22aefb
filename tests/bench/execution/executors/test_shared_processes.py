"""The local executor: processes that short jobs share."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.bench.execution.executors.left_processes import leave_a_child, wait_until_gone

from distillation_bench.bench.common.process_memory import peak_memory, restart_peak
from distillation_bench.bench.execution.executors.base import (
    JobFailed,
    JobOptions,
    WorkerDied,
)
from distillation_bench.bench.execution.executors.local import LocalExecutor
from distillation_bench.bench.execution.executors.processes import worker_process
from distillation_bench.bench.execution.executors.processes.worker_process import MAX_JOBS
from distillation_bench.bench.planning.plugins.loading import load_plugins

Processes = Callable[..., LocalExecutor]
SHARES = JobOptions(shares_process=True)


def test_short_jobs_share_a_process_for_a_while(processes: Processes) -> None:
    executor = processes(1)
    pids = []
    for _ in range(MAX_JOBS + 2):
        pids.append(executor.submit(os.getpid, options=SHARES).result(60))
    assert len(set(pids[:MAX_JOBS])) == 1
    assert len(set(pids[MAX_JOBS:])) == 1
    assert pids[0] != pids[-1]


def test_a_job_that_shares_no_process_has_its_own(processes: Processes) -> None:
    """No other process waits meanwhile, and its own takes no other job."""
    executor = processes(1)
    idle = executor.submit(os.getpid, options=SHARES).result(60)
    alone = executor.submit(os.getpid).result(60)
    wait_until_gone(idle)
    assert executor.submit(os.getpid, options=SHARES).result(60) not in (idle, alone)


def leave_a_thread() -> None:
    """Run by a worker."""
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()


def import_a_plugin(path: str) -> None:
    """Run by a worker."""
    Path(path).write_text("")
    load_plugins([path])


@pytest.mark.parametrize("leftover", ["thread", "child", "plugin", "time", "failure"])
def test_a_process_with_leftovers_is_not_used_again(
    processes: Processes, tmp_path: Path, leftover: str
) -> None:
    executor = processes(1)
    before = executor.submit(os.getpid, options=SHARES).result(60)
    job: tuple[Any, ...] = {
        "thread": (leave_a_thread,),
        "child": (leave_a_child, "answers", str(tmp_path / "pid")),
        "plugin": (import_a_plugin, str(tmp_path / "mine.py")),
        "time": (time.sleep, 1.01),
        "failure": (math.sqrt, -1),
    }[leftover]
    assert isinstance(executor.submit(*job, options=SHARES).exception(60), JobFailed | None)
    assert executor.submit(os.getpid, options=SHARES).result(60) != before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
def test_signals_to_a_waiting_process_are_charged_to_no_job(
    processes: Processes, number: int
) -> None:
    executor = processes(1)
    for wait in (0.0, 0.1):
        idle = executor.submit(os.getpid, options=SHARES).result(60)
        os.kill(idle, number)
        time.sleep(wait)
        follower = executor.submit(os.getpid, options=SHARES).result(60)
        assert (follower == idle) == (number == signal.SIGSTOP)


def test_a_death_during_a_job_in_a_reused_process_is_charged_to_the_job(
    processes: Processes,
) -> None:
    executor = processes(1)
    executor.submit(os.getpid, options=SHARES).result(60)
    with pytest.raises(WorkerDied, match="killed by SIGKILL"):
        executor.submit(signal.raise_signal, signal.SIGKILL, options=SHARES).result(60)


@pytest.mark.parametrize("stopped", [False, True])
def test_stop_ends_waiting_processes(processes: Processes, stopped: bool) -> None:
    executor = processes(1)
    idle = executor.submit(os.getpid, options=SHARES).result(60)
    if stopped:
        os.kill(idle, signal.SIGSTOP)
    executor.stop()
    wait_until_gone(idle)


def peak_of(size: int) -> tuple[int, int]:
    """Run by a worker: the peak of a job that needs so many bytes, and the process.

    The process counts the job as short however long it takes, so that it is used again.
    """
    worker_process.SHORT_SECONDS = math.inf
    restart_peak()
    del [b"x" * size][:]
    return peak_memory(), os.getpid()


def test_the_memory_peak_is_that_of_the_job_alone(processes: Processes) -> None:
    executor = processes(1)
    (small, first), (large, second), (again, third) = (
        executor.submit(peak_of, size, options=SHARES).result(60) for size in (1, 300_000_000, 1)
    )
    assert first == second == third
    assert large - small > 290_000_000
    assert again - small < 10_000_000
