"""The local executor: worker processes that fail, hang and die."""

from __future__ import annotations

import errno
import math
import operator
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.bench.execution.executors.left_processes import leave_a_child, wait_until_gone

from distillation_bench.bench.common.paths import IMPORT_FOLDER
from distillation_bench.bench.execution.executors.base import (
    JobFailed,
    JobOptions,
    TimedOut,
    WorkerDied,
    WorkerLost,
    describe_failure,
)
from distillation_bench.bench.execution.executors.local import LocalExecutor
from distillation_bench.bench.execution.executors.processes import forked_process
from distillation_bench.bench.execution.executors.processes.forked_process import ForkedProcess
from distillation_bench.bench.training.hardware.environment import environment

Processes = Callable[..., LocalExecutor]
SHARES = JobOptions(shares_process=True)


def test_results_and_errors_are_returned(processes: Processes) -> None:
    executor = processes(2)
    assert executor.submit(operator.add, 2, 3).result(60) == 5
    with pytest.raises(JobFailed, match="ValueError: ") as caught:
        executor.submit(math.sqrt, -1).result(60)
    assert "Traceback" in caught.value.details
    assert executor.submit(environment).result(60)["threads"] == 1


def test_a_killed_worker_costs_its_own_job_alone(processes: Processes) -> None:
    executor = processes(3)
    innocent = [executor.submit(time.sleep, 0.5) for _ in range(2)]
    killed = executor.submit(signal.raise_signal, signal.SIGKILL)
    exited = executor.submit(os._exit, 3)
    with pytest.raises(WorkerDied, match="killed by SIGKILL"):
        killed.result(60)
    with pytest.raises(WorkerDied, match="ended with status 3"):
        exited.result(60)
    assert [future.result(60) for future in innocent] == [None, None]


def test_a_signal_without_a_name_is_reported_by_number(processes: Processes) -> None:
    with pytest.raises(WorkerDied, match="killed by signal 40"):
        processes(1).submit(signal.raise_signal, 40).result(60)


class Unmakeable:
    """An object that can be pickled but not unpickled."""

    def __reduce__(self) -> Any:
        return math.sqrt, (-1,)


def give_what_cannot_be_unpacked() -> Any:
    return Unmakeable()


def test_a_result_that_cannot_be_unpickled_fails_the_job(processes: Processes) -> None:
    with pytest.raises(JobFailed, match="ValueError: "):
        processes(1).submit(give_what_cannot_be_unpacked).result(60)


def test_a_process_that_cannot_be_started_is_forgotten(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise stopping the executor would wait for its end and then kill the server."""

    def has_started(process: ForkedProcess) -> bool:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    executor = processes(1)
    server = executor.submit(os.getppid).result(60)
    with monkeypatch.context() as patch:
        patch.setattr(ForkedProcess, "has_started", has_started)
        with pytest.raises(WorkerDied, match="no process could be started"):
            executor.submit(operator.add, 1, 1).result(60)
    executor.stop()
    assert processes(1).submit(os.getppid).result(60) == server


def test_a_job_over_its_timeout_is_killed(processes: Processes) -> None:
    executor = processes(1, timeout=0.5)
    assert executor.submit(operator.add, 1, 1).result(60) == 2
    with pytest.raises(TimedOut, match=r"took longer than 0\.5 s"):
        executor.submit(time.sleep, 600).result(60)
    assert executor.submit(operator.add, 1, 2).result(60) == 3


def test_the_longest_timeout_of_the_command_line_is_accepted(processes: Processes) -> None:
    assert processes(1, timeout=1e7).submit(operator.add, 1, 1).result(60) == 2


def test_a_long_wait_in_parts_ends_with_the_result_or_the_timeout(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forked_process, "MAX_WAIT_SECONDS", 0.01)
    executor = processes(1, timeout=0.5)
    assert executor.submit(time.sleep, 0.1).result(60) is None
    with pytest.raises(TimedOut):
        executor.submit(time.sleep, 600).result(60)


def test_the_timeout_applies_to_the_jobs_that_ask_for_it(processes: Processes) -> None:
    executor = processes(1, timeout=0.5)
    assert executor.submit(time.sleep, 1.0, options=JobOptions(timed=False)).result(60) is None
    with pytest.raises(TimedOut):
        executor.submit(time.sleep, 1.0).result(60)


def test_an_exit_fails_the_job(processes: Processes) -> None:
    with pytest.raises(JobFailed, match="SystemExit: 0"):
        processes(1).submit(sys.exit, 0).result(60)


def test_a_killed_server_is_started_again(processes: Processes) -> None:
    executor = processes(1)
    assert executor.submit(operator.add, 1, 1).result(60) == 2
    # Including a process that waits for its next job.
    server = executor.submit(os.getppid, options=SHARES).result(60)
    os.kill(server, signal.SIGKILL)
    # Until then the waiting process could accept a job and lose it with the server.
    wait_until_gone(server)
    assert executor.submit(operator.add, 1, 2, options=SHARES).result(60) == 3
    assert executor.submit(os.getppid).result(60) != server


def test_out_of_memory_on_the_device_says_what_to_lower() -> None:
    class OutOfMemoryError(RuntimeError): ...

    line, _, _ = describe_failure(OutOfMemoryError("CUDA out of memory.\nTried 2 GiB"))
    assert line == (
        "OutOfMemoryError: lower --cells-per-gpu or --set batch_size "
        "(CUDA out of memory. Tried 2 GiB)"
    )


def test_ctrl_c_does_not_reach_the_job(processes: Processes) -> None:
    assert processes(1).submit(signal.raise_signal, signal.SIGINT).result(60) is None


def test_stop_ends_running_jobs(processes: Processes) -> None:
    executor = processes(2)
    running = executor.submit(time.sleep, 600)
    while not running.running():
        time.sleep(0.01)
    executor.stop()
    with pytest.raises(WorkerLost):
        running.result(60)


@pytest.mark.parametrize("timeout", [None, 300.0])
def test_a_child_left_behind_blocks_nothing(
    processes: Processes, tmp_path: Path, timeout: float | None
) -> None:
    """Children of a worker end with it, and its result is read completely."""
    executor, note = processes(1, timeout), tmp_path / "pid"
    with pytest.raises(WorkerDied, match="killed by SIGKILL"):
        executor.submit(leave_a_child, "killed", str(note)).result(60)
    wait_until_gone(int(note.read_text()))
    with pytest.raises(WorkerDied, match="ended with status 0"):
        executor.submit(leave_a_child, "exits", str(note)).result(60)
    assert executor.submit(leave_a_child, "answers", str(note)).result(60) == "answer"
    wait_until_gone(int(note.read_text()))


def test_a_result_of_any_size_arrives_complete(processes: Processes) -> None:
    content = os.urandom(5_000_000)
    assert processes(1).submit(bytes.join, content, [b"", b""]).result(60) == content


def die_while_answering() -> Unsent:
    """Run by a worker: die after sending the beginning of the result."""
    return Unsent()


class Unsent:
    """Kills the process that pickles it."""

    def __reduce__(self) -> Any:
        signal.raise_signal(signal.SIGKILL)
        raise AssertionError


def test_a_death_before_the_result_is_sent_is_reported(processes: Processes) -> None:
    with pytest.raises(WorkerDied, match="killed by SIGKILL"):
        processes(1).submit(die_while_answering).result(60)


def test_a_suspended_worker_is_killed_at_its_timeout_and_at_the_end(processes: Processes) -> None:
    executor = processes(1, timeout=0.5)
    with pytest.raises(TimedOut):
        executor.submit(signal.raise_signal, signal.SIGSTOP).result(60)
    executor = processes(1)
    running = executor.submit(signal.raise_signal, signal.SIGSTOP)
    while not executor._running:
        time.sleep(0.01)
    executor.stop()
    with pytest.raises((WorkerLost, WorkerDied)):
        running.result(60)


def test_a_killed_server_ends_its_jobs_without_charging_them(processes: Processes) -> None:
    executor = processes(2)
    server = executor.submit(os.getppid).result(60)
    running = executor.submit(time.sleep, 600)
    while not any(process.pid for process in executor._running):
        time.sleep(0.01)
    (worker,) = [process.pid for process in executor._running]
    os.kill(server, signal.SIGKILL)
    with pytest.raises(WorkerLost):
        running.result(60)
    wait_until_gone(worker)
    assert executor.submit(operator.add, 1, 2).result(60) == 3


DRIVER = """
import os, signal, sys, time
sys.path.insert(0, {root!r})
from distillation_bench.bench.execution.executors.base import JobOptions
from distillation_bench.bench.execution.executors.local import LocalExecutor
executor = LocalExecutor(3)
server = executor.submit(os.getppid).result()
for job in ((time.sleep, 600), (signal.raise_signal, signal.SIGSTOP)):
    executor.submit(*job)
while len([each for each in executor._running if each.pid]) < 2:
    time.sleep(0.01)
idle = executor.submit(os.getpid, options=JobOptions(shares_process=True)).result()
os.kill(idle, signal.SIGSTOP)
print(server, idle, *[process.pid for process in executor._running], flush=True)
time.sleep(600)
"""


def test_a_killed_driver_leaves_no_processes_or_files(tmp_path: Path) -> None:
    """Also suspended processes end; the script has no file and no main guard.

    The folder for temporary files has a longer name than a socket's may be.
    """
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    driver = subprocess.Popen(
        [sys.executable, "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
    )
    assert driver.stdin is not None and driver.stdout is not None
    driver.stdin.write(DRIVER.format(root=str(IMPORT_FOLDER)))
    driver.stdin.close()
    pids = [int(pid) for pid in driver.stdout.readline().split()]
    assert len(pids) == 4
    os.kill(pids[0], signal.SIGSTOP)
    driver.kill()
    driver.wait()
    for pid in pids:
        wait_until_gone(pid)
    assert not list(folder.iterdir())
