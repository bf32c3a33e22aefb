"""Each task in a process of its own on this machine.

It costs about ten milliseconds a task and makes the hard cases simple: a worker that is killed
takes one task with it, a timeout is a kill, and memory is given back.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from bench.devices import DEVICE
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
from bench.forkserver import importable_everywhere, start_server
from bench.termination import GRACE, await_sigterm, end_in_time

# multiprocessing reaps finished children whenever one is started: one thread at a time.
_LOCK = threading.Lock()
STARTS = 20
"""Attempts to start a process, a tenth of a second apart."""


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
        self._running: set[BaseProcess] = set()
        self._stopped = False
        self._context = start_server()

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
        process, here = self._start(call)
        try:
            if not here.poll(timeout):
                self._end(process)
                raise TimedOut(f"took longer than {timeout:g} s")
            succeeded, answer = here.recv()
        except (EOFError, ConnectionResetError):
            # Its pipe is closed a moment before its exit status can be read.
            self._end(process, patience=1.0)
            if process.exitcode == -signal.SIGTERM:
                # As when a cluster takes its machine back.
                raise WorkerLost("it was told to end by SIGTERM") from None
            raise WorkerDied(_cause_of_death(process.exitcode)) from None
        finally:
            here.close()
            # One that has answered ends by itself, while the next one starts.
            self._running.discard(process)
        if not succeeded:
            raise TaskFailed(*answer)
        return answer

    def _start(self, call: tuple[Any, ...]) -> tuple[BaseProcess, Connection]:
        with _LOCK, importable_everywhere():
            for attempt in range(STARTS):
                if self._stopped:
                    raise WorkerDied("stopped")
                here, there = self._context.Pipe()
                process = self._context.Process(target=_serve, args=(there, *call))
                try:
                    process.start()
                except (EOFError, OSError) as error:
                    # The fork server was killed: once it is gone, multiprocessing starts another.
                    here.close()
                    if attempt + 1 == STARTS:
                        raise WorkerDied(f"no process could be started ({error})") from None
                    time.sleep(0.1)
                    continue
                finally:
                    there.close()
                self._running.add(process)
                return process, here
        raise AssertionError("unreachable")

    def _end(self, process: BaseProcess, patience: float = 0.0) -> None:
        with _LOCK:
            process.join(patience)
            process.kill()
            process.join()

    def stop(self) -> None:
        """End what is running, which may keep a checkpoint first; nothing more starts."""
        with _LOCK:
            self._stopped = True
            running = list(self._running)
            for process in running:
                process.terminate()
        deadline = time.monotonic() + GRACE
        try:
            # Other threads reap them.
            while self._running.intersection(running) and time.monotonic() < deadline:
                time.sleep(0.01)
        finally:
            with _LOCK:
                # The number of one that has ended may be another's by now.
                for process in self._running.intersection(running):
                    process.kill()
            self._threads.shutdown(cancel_futures=True)

    def slots(self) -> int:
        return self.jobs


def _cause_of_death(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"the worker was killed by {name}{hint}"
    return f"the worker ended with status {code}"


def _serve(
    connection: Connection, device: str, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    """Run one task on a device and answer; end if the parent is gone."""
    os.environ[DEVICE] = device
    # Ctrl-C reaches the whole group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    await_sigterm()
    # Where memory runs out, the system kills a worker before the driver.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
    threading.Thread(target=_watch, args=(connection,), daemon=True).start()
    try:
        connection.send((True, function(*arguments)))
    except BaseException as error:
        connection.send((False, describe_failure(error)))
    # Nothing is left to do; the interpreter's own farewell takes tens of milliseconds.
    os._exit(0)


def _watch(connection: Connection) -> None:
    try:
        connection.recv()
    except (EOFError, OSError):
        end_in_time()
