"""What every executor offers to the scheduler, and how tasks fail on it."""

from __future__ import annotations

import errno
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
"""Faults of the disk, which no cell is to blame for: the run ends, what is left stays to run."""


class TaskFailed(Exception):
    """The task raised; carries one line, the traceback as text, and the number of an OSError."""

    def __init__(self, reason: str, details: str, number: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.details = details
        self.number = number


class WorkerDied(Exception):
    """The process was killed or ended without an answer."""


class WorkerLost(Exception):
    """What ran it is gone or was told to end, through no fault of the task."""


class TimedOut(Exception):
    """The task took longer than allowed and was killed."""


def describe_failure(error: BaseException) -> tuple[str, str, int | None]:
    """One line, the traceback and, of an OSError, its number."""
    try:
        text = " ".join(str(error).split())
        trace = "".join(traceback.format_exception(error))
    except Exception:
        text, trace = "its message can't be shown", ""
    number = error.errno if isinstance(error, OSError) else None
    if type(error).__name__ == "OutOfMemoryError" or "out of memory" in text.lower():
        text = f"lower --cells-per-gpu or --set batch_size ({text})"
    line = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return line, trace, number


@dataclass(frozen=True)
class Parcel:
    """What an executor may want to know of a task beside its call.

    Attributes:
        reads, writes: cache entries, which travel with the task where no folder is shared.
        timed: whether the timeout of cells is meant for it.
    """

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    timed: bool = True


PLAIN = Parcel()


class Engine(ABC):
    """Runs calls, each of which can be pickled; answers are `concurrent.futures` futures."""

    @abstractmethod
    def submit(
        self, function: Callable[..., Any], *arguments: Any, parcel: Parcel = PLAIN
    ) -> Future[Any]:
        """Start a call.

        The future raises TaskFailed, TimedOut, WorkerDied or WorkerLost; a UsageError if no task
        can be run any more.
        """

    @abstractmethod
    def slots(self) -> int:
        """How many tasks it runs at a time; may change while it runs.

        Raises:
            bench.errors.UsageError: it will never run one.
        """

    @abstractmethod
    def stop(self) -> None:
        """Kill what is running; nothing more starts."""
