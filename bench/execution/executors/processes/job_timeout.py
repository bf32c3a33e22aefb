"""The timeout of a job: its process is killed if the answer takes too long."""

from __future__ import annotations

from distillation_bench.bench.execution.executors.base import TimedOut
from distillation_bench.bench.execution.executors.processes.forked_process import ForkedProcess

KILL_SECONDS = 2.0
"""How long the system may take to kill a process."""


def answer_in_time(process: ForkedProcess, message: bytes, timeout: float | None) -> bytes | None:
    """Send a job to a process and return the answer, or None if the process ended without one.

    Args:
        process: a process that waits for a job.
        message: the job.
        timeout: seconds that the answer may take, or None for any time.

    Raises:
        TimedOut: it took longer; the process is killed.
    """
    try:
        return process.exchange(message, timeout)
    except TimeoutError:
        process.kill(KILL_SECONDS)
        raise TimedOut(f"took longer than {timeout:g} s") from None
