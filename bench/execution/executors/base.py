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

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
"""Faults of the disk, which no cell is to blame for: the run ends, what is left stays to run."""


class JobFailed(Exception):
    """The job raised; carries one line, the traceback as text, and the disk's fault, if any."""

    def __init__(self, reason: str, details: str, fault: OSError | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.details = details
        self.fault = fault


class WorkerDied(Exception):
    """The process was killed or ended without an answer."""


class WorkerLost(Exception):
    """What ran it is gone or was told to end, through no fault of the job."""


class TimedOut(Exception):
    """The job took longer than allowed and was killed."""


def describe_failure(error: BaseException) -> tuple[str, str, OSError | None]:
    """One line, the traceback and the fault of the disk or the cache, if it is one."""
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
    """A fault of the disk or the cache, plain enough to travel between processes."""
    if isinstance(error, CacheFault) or (isinstance(error, OSError) and error.errno in NO_ROOM):
        return OSError(error.errno, error.strerror, error.filename or "cache")
    return None


@dataclass(frozen=True)
class JobOptions:
    """What an executor may want to know of a job beside its call.

    Attributes:
        reads, writes: cache entries, which travel with the job where no folder is shared.
        timed: whether the timeout of cells is meant for it.
        shares: whether other jobs may run in its process before and after it.
    """

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    timed: bool = True
    shares: bool = False


DEFAULT_OPTIONS = JobOptions()


class Executor(ABC):
    """Runs calls, each of which can be pickled; answers are `concurrent.futures` futures."""

    @abstractmethod
    def submit(
        self, function: Callable[..., Any], *arguments: Any, options: JobOptions = DEFAULT_OPTIONS
    ) -> Future[Any]:
        """Start a call.

        The future raises JobFailed, TimedOut, WorkerDied or WorkerLost; a UsageError if no job
        can be run any more.
        """

    @abstractmethod
    def slots(self) -> int:
        """How many jobs it runs at a time; may change while it runs.

        Raises:
            UsageError: it will never run one.
        """

    @abstractmethod
    def stop(self) -> None:
        """Kill what is running; nothing more starts."""
