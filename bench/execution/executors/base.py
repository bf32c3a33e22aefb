"""What every executor offers to the scheduler, and how jobs fail on it."""

from __future__ import annotations

import errno
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from distillation_bench.bench.common.errors import CacheFault

DISK_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
"""Errors of the disk, for which no cell is at fault: they end the run, which can be resumed."""


class JobFailed(Exception):
    """The job raised an exception.

    Attributes:
        reason: the exception in one line.
        details: the traceback.
        fault: the fault of the disk or the cache, if the exception is one.
    """

    def __init__(self, reason: str, details: str, fault: OSError | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.details = details
        self.fault = fault


class WorkerDied(Exception):
    """The job's process was killed, or ended without an answer."""


class WorkerLost(Exception):
    """The worker is gone or was asked to end; the job is not at fault."""


class TimedOut(Exception):
    """The job took longer than allowed and was killed."""


def describe_failure(error: BaseException) -> tuple[str, str, OSError | None]:
    """Return the arguments of a `JobFailed`: one line, the traceback, a fault of the disk."""
    try:
        text = " ".join(str(error).split())
        trace = "".join(traceback.format_exception(error))
    except Exception:
        text, trace = "its message can't be shown", ""
    if type(error).__name__ == "OutOfMemoryError" or "out of memory" in text.lower():
        text = f"lower --cells-per-gpu or --set batch_size ({text})"
    line = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return line, trace, disk_fault(error)


def disk_fault(error: BaseException) -> OSError | None:
    """Return a fault of the disk or the cache as an OSError that can be pickled; else None."""
    if isinstance(error, CacheFault) or (isinstance(error, OSError) and error.errno in DISK_FAULTS):
        return OSError(error.errno, error.strerror, error.filename or "cache")
    return None


@dataclass(frozen=True)
class JobOptions:
    """What an executor needs to know about a job beside its call.

    Attributes:
        reads, writes: keys of cache entries; they travel with the job if no folder is shared.
        timed: whether the timeout of cells applies to it.
        shares_process: whether other jobs may run in its process before and after it.
    """

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    timed: bool = True
    shares_process: bool = False


DEFAULT_OPTIONS = JobOptions()


class Executor(ABC):
    """Runs calls whose function, arguments and result can be pickled."""

    @abstractmethod
    def submit(
        self, function: Callable[..., Any], *arguments: Any, options: JobOptions = DEFAULT_OPTIONS
    ) -> Future[Any]:
        """Start a call.

        The future raises JobFailed, TimedOut, WorkerDied or WorkerLost, or a UsageError if the
        executor cannot run any more jobs.
        """

    @abstractmethod
    def slots(self) -> int:
        """Return how many jobs can run at a time; it may change during a run.

        Raises:
            UsageError: no job will ever run.
        """

    @abstractmethod
    def stop(self) -> None:
        """Kill what is running, and start nothing more."""
