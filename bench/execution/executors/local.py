"""Jobs in processes of this machine, one at a time in each.

A process that runs one job makes the hard cases simple: a worker that is killed takes one job
with it, a timeout is a kill, what a job leaves behind ends with it, and memory is given back. It
costs some twenty milliseconds, though. So, where the job says that it shares its process, one
that was short and left nothing behind is followed by others; while it waits for them, the process
has given its memory back, and whatever kills it costs no job.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import signal
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NoReturn

from distillation_bench.bench.common.devices import DEVICE
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.signals import GRACE_SECONDS, terminate_on_sigterm
from distillation_bench.bench.execution.executors.base import (
    DEFAULT_OPTIONS,
    Executor,
    JobFailed,
    JobOptions,
    TimedOut,
    WorkerDied,
    WorkerLost,
    describe_failure,
)
from distillation_bench.bench.execution.executors.fork_server import HELD
from distillation_bench.bench.execution.executors.forked_process import (
    ACCEPTED,
    SERVER,
    ForkedProcess,
    framed,
    start_server,
)
from distillation_bench.bench.execution.executors.process_reuse import give_back, nothing_left

STARTS = 5
"""Attempts to start a process."""
KILLED = 2.0
"""Seconds that the system may take to kill a process."""
JOBS_PER_PROCESS, SHORT = 32, 1.0
"""Jobs that a process runs at most, so that memory is given back, and seconds that each takes."""


class LocalExecutor(Executor):
    """Processes forked from a server that has torch loaded; a fresh one for each job, unless the
    job shares it with others.

    Args:
        jobs: jobs at a time.
        timeout: seconds that a job may take; none: for ever.
        devices: taken in turn by the jobs that run side by side.
    """

    def __init__(
        self, jobs: int, timeout: float | None = None, devices: Sequence[str] = ("cpu",)
    ) -> None:
        self.jobs = jobs
        self.timeout = timeout
        self._slots: SimpleQueue[str] = SimpleQueue()
        self._idle: defaultdict[str, list[ForkedProcess]] = defaultdict(list)
        for job in range(jobs):
            self._slots.put(devices[job % len(devices)])
        self._threads = ThreadPoolExecutor(jobs)
        self._lock = threading.Lock()
        self._running: set[ForkedProcess] = set()
        self._stopped = False
        start_server()

    def submit(
        self, function: Callable[..., Any], *arguments: Any, options: JobOptions = DEFAULT_OPTIONS
    ) -> Future[Any]:
        return self._threads.submit(self._run_on_a_device, function, arguments, options)

    def _run_on_a_device(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], options: JobOptions
    ) -> Any:
        device = self._slots.get()
        try:
            # A process that has used a GPU keeps memory there.
            shares = options.shares and device == "cpu"
            message = pickle.dumps((shares, device, function, arguments))
            timeout = self.timeout if options.timed else None
            if (idle := self._take(device, shares)) is not None:
                try:
                    return self._run(idle, device, message, timeout)
                except (WorkerDied, WorkerLost):
                    # Otherwise it was killed while it waited, which is no fault of the job.
                    if idle.accepted:
                        raise
            return self._run(self._fork(), device, message, timeout)
        finally:
            self._slots.put(device)

    def _run(
        self, process: ForkedProcess, device: str, message: bytes, timeout: float | None
    ) -> Any:
        goes_on = False
        try:
            answer = process.exchange(message, timeout)
            if answer is None:
                raise _end_without_answer(process.status)
            failure, value, goes_on = _unpacked(answer)
        except TimeoutError:
            process.kill(KILLED)
            raise TimedOut(f"took longer than {timeout:g} s") from None
        finally:
            # One that has answered waits for more, or ends by itself while the next one starts.
            if goes_on:
                self._keep(process, device)
            else:
                self._forget(process)
        if failure is not None:
            raise failure(*value)
        return value

    def _take(self, device: str, shares: bool) -> ForkedProcess | None:
        """A process that waits for another job; it ends where the job does not share it."""
        with self._lock:
            if not self._idle[device]:
                return None
            process = self._idle[device].pop()
            self._running.add(process)
        if shares:
            # It may be stopped.
            process.signal(signal.SIGCONT)
            return process
        self._forget(process)
        return None

    def _keep(self, process: ForkedProcess, device: str) -> None:
        with self._lock:
            if not self._stopped:
                self._idle[device].append(process)
                self._running.discard(process)
                return
        self._forget(process)

    def _fork(self) -> ForkedProcess:
        try:
            for _ in range(STARTS):
                if process := self._begun():
                    return process
        except OSError as error:
            raise WorkerDied(f"no process could be started ({error.strerror})") from None
        raise WorkerDied(f"no process could be started, {STARTS} times")

    def _begun(self) -> ForkedProcess | None:
        """A process that has begun; none if the server was killed just now."""
        process = self._ask()
        has_begun = False
        try:
            has_begun = process.has_begun()
        finally:
            if not has_begun:
                self._forget(process)
        return process if has_begun else None

    def _ask(self) -> ForkedProcess:
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
        """End what is running, which may keep a checkpoint first; nothing more starts."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
            for process in itertools.chain(*self._idle.values()):
                process.close()
            self._idle.clear()
        for process in running:
            # It may be stopped.
            process.signal(signal.SIGTERM, signal.SIGCONT)
        try:
            self._wait(GRACE_SECONDS)
        finally:
            for process in running:
                process.signal(signal.SIGKILL)
            self._wait(KILLED)
            if self._running:
                # The server itself is stopped.
                SERVER.kill()
            self._threads.shutdown(cancel_futures=True)

    def _wait(self, seconds: float) -> None:
        """Wait until other threads have seen the end of all that runs, or for so long."""
        deadline = time.monotonic() + seconds
        while self._running and time.monotonic() < deadline:
            time.sleep(0.01)

    def slots(self) -> int:
        return self.jobs


def _end_without_answer(status: int | None) -> WorkerLost | WorkerDied:
    if status is None:
        return WorkerLost("the process that it was forked from is gone")
    if status == -signal.SIGTERM:
        # As when a cluster takes its machine back.
        return WorkerLost("it was told to end by SIGTERM")
    if status >= 0:
        return WorkerDied(f"the worker ended with status {status}")
    hint = " (out of memory?)" if status == -signal.SIGKILL else ""
    return WorkerDied(f"the worker was killed by {_signal_name(-status)}{hint}")


def _signal_name(number: int) -> str:
    # Not all of Linux's real-time signals have a name.
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


def _unpacked(answer: bytes) -> tuple[Any, Any, bool]:
    """What a job gave: the kind of its failure with its arguments, or None and its value; and
    whether its process may run another.

    Raises:
        JobFailed: it gave what can't be made again here, such as an object of a class of its own.
    """
    try:
        failure, value, goes_on = pickle.loads(answer)
    except Exception as error:
        raise JobFailed(*describe_failure(error)) from None
    return failure, value, goes_on


def serve(driver: socket.socket) -> NoReturn:
    """Run the job that the driver sends, and answer; then others, if it may be followed by any."""
    # Ctrl-C and the end of a terminal reach all of its processes; the driver decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    terminate_on_sigterm()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
    # Where memory runs out, the system kills a worker before the driver.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
    with driver.makefile("rb") as messages:
        left = JOBS_PER_PROCESS
        while left and messages.read(len(framed(b""))):
            shares, *call = pickle.load(messages)
            driver.sendall(ACCEPTED)
            goes_on, answer = _answer(shares and left > 1, *call)
            driver.sendall(framed(answer))
            left = left - 1 if goes_on else 0
            if left:
                give_back()
    # Nothing is left to do; the interpreter's own farewell takes tens of milliseconds.
    os._exit(0)


def _answer(
    shares: bool, device: str, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> tuple[bool, bytes]:
    """Whether this process may run another job, and what the driver is told."""
    os.environ[DEVICE] = device
    began = time.monotonic()
    try:
        value = function(*arguments)
        goes_on = shares and time.monotonic() - began < SHORT and nothing_left()
        return goes_on, pickle.dumps((None, value, goes_on))
    except UsageError as error:
        return False, pickle.dumps((UsageError, (str(error),), False))
    except BaseException as error:
        return False, pickle.dumps((JobFailed, describe_failure(error), False))
