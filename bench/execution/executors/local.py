"""Jobs in processes of this machine, one at a time in each.

A job in a process of its own makes the hard cases simple: if the process is killed, one job fails;
a timeout is a kill; what a job leaves behind ends with its process; and memory is given back. A
new process costs some twenty milliseconds, though. So a process is used again after a job that
may share its process, was short and left nothing behind (`processes/worker_process.py`). While it
waits, it has given its memory back, and if it is killed then, no job fails.
"""

from __future__ import annotations

import contextlib
import itertools
import pickle
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

from distillation_bench.bench.common.signals import GRACE_SECONDS
from distillation_bench.bench.execution.executors.base import (
    DEFAULT_OPTIONS,
    Executor,
    JobFailed,
    JobOptions,
    WorkerDied,
    WorkerLost,
    describe_failure,
)
from distillation_bench.bench.execution.executors.processes.forked_process import (
    SERVER,
    ForkedProcess,
    start_server,
)
from distillation_bench.bench.execution.executors.processes.job_timeout import (
    KILL_SECONDS,
    answer_in_time,
)

MAX_STARTS = 5
"""Attempts to start a process."""
POLL_SECONDS = 0.01
"""Seconds between two checks whether the processes have ended."""


class LocalExecutor(Executor):
    """Runs jobs in processes that are forked from a server with torch loaded.

    Args:
        jobs: jobs at a time.
        timeout: the most seconds that a job may take; None for no limit.
        devices: jobs that run at the same time take them in turn.
    """

    def __init__(
        self, jobs: int, timeout: float | None = None, devices: Sequence[str] = ("cpu",)
    ) -> None:
        self.jobs = jobs
        self.timeout = timeout
        self._free_devices: SimpleQueue[str] = SimpleQueue()
        self._idle: defaultdict[str, list[ForkedProcess]] = defaultdict(list)
        for slot in range(jobs):
            self._free_devices.put(devices[slot % len(devices)])
        self._threads = ThreadPoolExecutor(jobs)
        self._lock = threading.Lock()
        self._running: set[ForkedProcess] = set()
        self._stopped = False
        start_server()

    def submit(
        self, function: Callable[..., Any], *arguments: Any, options: JobOptions = DEFAULT_OPTIONS
    ) -> Future[Any]:
        """Start a call as soon as a process is free; see `Executor.submit`."""
        return self._threads.submit(self._run_on_a_device, function, arguments, options)

    def slots(self) -> int:
        """Return how many jobs can run at a time."""
        return self.jobs

    def _run_on_a_device(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], options: JobOptions
    ) -> Any:
        device = self._free_devices.get()
        try:
            # A process that has used a GPU keeps memory there.
            shares_process = options.shares_process and device == "cpu"
            message = pickle.dumps((shares_process, device, function, arguments))
            timeout = self.timeout if options.timed else None
            if (idle := self._take_idle(device, shares_process)) is not None:
                try:
                    return self._run(idle, device, message, timeout)
                except (WorkerDied, WorkerLost):
                    # If it did not accept the job, it was killed while it waited.
                    if idle.accepted:
                        raise
            return self._run(self._fork(), device, message, timeout)
        finally:
            self._free_devices.put(device)

    def _run(
        self, process: ForkedProcess, device: str, message: bytes, timeout: float | None
    ) -> Any:
        """Run a job in a process; return its value, or raise its failure."""
        is_reusable = False
        try:
            answer = answer_in_time(process, message, timeout)
            if answer is None:
                raise _end_without_answer(process.status)
            failure, value, is_reusable = _unpickled(answer)
        finally:
            # A process that is not reusable ends by itself while the next one starts.
            if is_reusable:
                self._keep_idle(process, device)
            else:
                self._forget(process)
        if failure is not None:
            raise failure(*value)
        return value

    def _take_idle(self, device: str, shares_process: bool) -> ForkedProcess | None:
        """Return an idle process; end it instead if the job must not share a process."""
        with self._lock:
            if not self._idle[device]:
                return None
            process = self._idle[device].pop()
            self._running.add(process)
        if shares_process:
            # Someone may have stopped it.
            process.signal(signal.SIGCONT)
            return process
        self._forget(process)
        return None

    def _keep_idle(self, process: ForkedProcess, device: str) -> None:
        with self._lock:
            if not self._stopped:
                self._idle[device].append(process)
                self._running.discard(process)
                return
        self._forget(process)

    def _fork(self) -> ForkedProcess:
        """Return a new process.

        Raises:
            WorkerDied: no process could be started.
        """
        try:
            for _ in range(MAX_STARTS):
                if process := self._fork_once():
                    return process
        except OSError as error:
            raise WorkerDied(f"no process could be started ({error.strerror})") from None
        raise WorkerDied(f"no process could be started, {MAX_STARTS} times")

    def _fork_once(self) -> ForkedProcess | None:
        """Return a process that has started; None if the server was killed just now."""
        process = self._request_fork()
        has_started = False
        try:
            has_started = process.has_started()
        finally:
            if not has_started:
                self._forget(process)
        return process if has_started else None

    def _request_fork(self) -> ForkedProcess:
        with self._lock:
            if self._stopped:
                raise WorkerDied("stopped")
            process = SERVER.fork()
            self._running.add(process)
        return process

    def _forget(self, process: ForkedProcess) -> None:
        process.close()
        self._running.discard(process)

    def stop(self) -> None:
        """End what is running, which may write a checkpoint before; nothing more starts."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
            for process in itertools.chain(*self._idle.values()):
                process.close()
            self._idle.clear()
        for process in running:
            # A stopped process receives SIGTERM only when it continues.
            process.signal(signal.SIGTERM, signal.SIGCONT)
        try:
            self._wait(GRACE_SECONDS)
        finally:
            for process in running:
                process.signal(signal.SIGKILL)
            self._wait(KILL_SECONDS)
            if self._running:
                # The server itself is stopped.
                SERVER.kill()
            self._threads.shutdown(cancel_futures=True)

    def _wait(self, seconds: float) -> None:
        """Wait until the threads have seen all processes end, but no longer than this."""
        deadline = time.monotonic() + seconds
        while self._running and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)


def _end_without_answer(status: int | None) -> WorkerLost | WorkerDied:
    """Return the exception for a process that ended with this status and no answer."""
    if status is None:
        return WorkerLost("the process that it was forked from is gone")
    if status == -signal.SIGTERM:
        # As when a cluster takes its machine back.
        return WorkerLost("it was told to end by SIGTERM")
    if status >= 0:
        return WorkerDied(f"the worker ended with status {status}")
    if status == -signal.SIGXCPU:
        return WorkerDied("the worker used more processor time than it may")
    hint = " (out of memory?)" if status == -signal.SIGKILL else ""
    return WorkerDied(f"the worker was killed by {_signal_name(-status)}{hint}")


def _signal_name(number: int) -> str:
    # Not all of Linux's real-time signals have a name.
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


def _unpickled(answer: bytes) -> tuple[Any, Any, bool]:
    """Return the parts of a worker's answer (`worker_process._run`).

    Raises:
        JobFailed: the value cannot be unpickled here, as an object of a class of the plugin's own.
    """
    try:
        failure, value, is_reusable = pickle.loads(answer)
    except Exception as error:
        raise JobFailed(*describe_failure(error)) from None
    return failure, value, is_reusable
