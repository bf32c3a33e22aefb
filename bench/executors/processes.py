"""Each task in a process of its own on this machine.

It costs about ten milliseconds a task and makes the hard cases simple: a worker that is killed
takes one task with it, a timeout is a kill, what a task leaves behind ends with it, and memory is
given back.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NoReturn

from bench.devices import DEVICE
from bench.errors import UsageError
from bench.executors.engine import (
    PLAIN,
    Engine,
    Parcel,
    TaskFailed,
    TimedOut,
    WorkerDied,
    WorkerLost,
    describe_failure,
)
from bench.executors.forked import SERVER, Forked, framed, start_server
from bench.forkserver import HELD
from bench.termination import GRACE, await_sigterm

STARTS = 5
"""Attempts to start a process."""
KILLED = 2.0
"""Seconds that the system may take to kill a process."""


class ProcessPerTask(Engine):
    """A fresh process for each task, forked from a server that has torch loaded.

    Args:
        jobs: tasks at a time.
        timeout: seconds that a task may take; none: for ever.
        devices: taken in turn by the tasks that run side by side.
    """

    def __init__(
        self, jobs: int, timeout: float | None = None, devices: Sequence[str] = ("cpu",)
    ) -> None:
        self.jobs = jobs
        self.timeout = timeout
        self._slots: SimpleQueue[str] = SimpleQueue()
        for job in range(jobs):
            self._slots.put(devices[job % len(devices)])
        self._threads = ThreadPoolExecutor(jobs)
        self._lock = threading.Lock()
        self._running: set[Forked] = set()
        self._stopped = False
        start_server()

    def submit(
        self, function: Callable[..., Any], *arguments: Any, parcel: Parcel = PLAIN
    ) -> Future[Any]:
        return self._threads.submit(self._run_on_a_device, function, arguments, parcel.timed)

    def _run_on_a_device(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], timed: bool
    ) -> Any:
        device = self._slots.get()
        try:
            return self._run((device, function, arguments), self.timeout if timed else None)
        finally:
            self._slots.put(device)

    def _run(self, call: tuple[Any, ...], timeout: float | None) -> Any:
        message = pickle.dumps(call)
        process = self._fork()
        try:
            answer = process.exchange(message, timeout)
        except TimeoutError:
            process.kill(KILLED)
            raise TimedOut(f"took longer than {timeout:g} s") from None
        finally:
            # One that has answered ends by itself, while the next one starts.
            self._forget(process)
        if answer is None:
            raise _end_without_answer(process.status)
        failure, value = _unpacked(answer)
        if failure is not None:
            raise failure(*value)
        return value

    def _fork(self) -> Forked:
        try:
            for _ in range(STARTS):
                if process := self._begun():
                    return process
        except OSError as error:
            raise WorkerDied(f"no process could be started ({error.strerror})") from None
        raise WorkerDied(f"no process could be started, {STARTS} times")

    def _begun(self) -> Forked | None:
        """A process that has begun; none if the server was killed just now."""
        process = self._ask()
        has_begun = False
        try:
            has_begun = process.has_begun()
        finally:
            if not has_begun:
                self._forget(process)
        return process if has_begun else None

    def _ask(self) -> Forked:
        with self._lock:
            if self._stopped:
                raise WorkerDied("stopped")
            process = SERVER.fork()
            self._running.add(process)
        return process

    def _forget(self, process: Forked) -> None:
        process.close()
        self._running.discard(process)

    def stop(self) -> None:
        """End what is running, which may keep a checkpoint first; nothing more starts."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            # It may be stopped.
            process.signal(signal.SIGTERM, signal.SIGCONT)
        try:
            self._wait(GRACE)
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


def _unpacked(answer: bytes) -> tuple[Any, Any]:
    """What a task gave: the kind of its failure with its arguments, or None and its value.

    Raises:
        TaskFailed: it gave what can't be made again here, such as an object of a class of its own.
    """
    try:
        failure, value = pickle.loads(answer)
    except Exception as error:
        raise TaskFailed(*describe_failure(error)) from None
    return failure, value


def serve(driver: socket.socket) -> NoReturn:
    """Run the one task that the driver sends, and answer."""
    # Ctrl-C and the end of a terminal reach all of its processes; the driver decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    await_sigterm()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
    # Where memory runs out, the system kills a worker before the driver.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
    with driver.makefile("rb") as messages:
        messages.read(len(framed(b"")))
        answer = _answer(*pickle.load(messages))
    driver.sendall(framed(answer))
    # Nothing is left to do; the interpreter's own farewell takes tens of milliseconds.
    os._exit(0)


def _answer(device: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> bytes:
    os.environ[DEVICE] = device
    try:
        return pickle.dumps((None, function(*arguments)))
    except UsageError as error:
        return pickle.dumps((UsageError, (str(error),)))
    except BaseException as error:
        return pickle.dumps((TaskFailed, describe_failure(error)))
