"""The worker's side of a local process: it receives jobs, runs them and answers.

A process that ran a short job, and in which the job has left nothing behind, runs further jobs.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from distillation_bench.bench.common.devices import DEVICE_VARIABLE
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.process_memory import release_memory, restart_peak
from distillation_bench.bench.common.signals import terminate_on_sigterm
from distillation_bench.bench.execution.executors.base import JobFailed, describe_failure
from distillation_bench.bench.execution.executors.processes.wire_format import (
    ACCEPTED,
    BLOCKED_SIGNALS,
    framed,
)
from distillation_bench.bench.planning.plugins import loading as plugins

MAX_JOBS = 32
"""Jobs that one process runs at most, so that its memory is given back now and then."""
SHORT_SECONDS = 1.0
"""The longest duration of a job after which its process is used again."""
OUT_OF_MEMORY_SCORE = "500"
"""Makes the system kill a worker rather than the driver when memory runs out."""


def serve(driver: socket.socket) -> NoReturn:
    """Run the job that the driver sends, and answer; go on as long as the process is reusable."""
    # Ctrl-C and the end of a terminal reach all of its processes; the driver decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    terminate_on_sigterm()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED_SIGNALS)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OUT_OF_MEMORY_SCORE)
    with driver.makefile("rb") as messages:
        jobs_left = MAX_JOBS
        while jobs_left and messages.read(len(framed(b""))):
            shares_process, *call = pickle.load(messages)
            driver.sendall(ACCEPTED)
            is_reusable, answer = _run(shares_process and jobs_left > 1, *call)
            driver.sendall(framed(answer))
            jobs_left = jobs_left - 1 if is_reusable else 0
            if jobs_left:
                release_memory()
    # There is nothing to clean up, and the interpreter would take tens of milliseconds to exit.
    os._exit(0)


def _run(
    shares_process: bool, device: str, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> tuple[bool, bytes]:
    """Run a job; return whether this process may run another one, and the pickled answer.

    The answer is the class of the failure and its arguments, or None and the value; and whether
    the process goes on.
    """
    os.environ[DEVICE_VARIABLE] = device
    started = time.monotonic()
    try:
        value = function(*arguments)
        is_short = time.monotonic() - started < SHORT_SECONDS
        is_reusable = shares_process and is_short and nothing_is_left()
        return is_reusable, pickle.dumps((None, value, is_reusable))
    except UsageError as error:
        return False, pickle.dumps((UsageError, (str(error),), False))
    except BaseException as error:
        return False, pickle.dumps((JobFailed, describe_failure(error), False))


def nothing_is_left() -> bool:
    """Return whether the jobs of this process have left no plugin, thread or child behind.

    Only Linux shows this, and only there can the peak of memory be reset for another job; elsewhere
    the result is False.
    """
    if plugins.in_use():
        return False
    with contextlib.suppress(OSError):
        threads = list(Path("/proc/self/task").iterdir())
        return len(threads) == 1 and not (threads[0] / "children").read_text() and restart_peak()
    return False
