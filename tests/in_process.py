"""An executor that spares tests the processes: tasks run in the test's own, one after another."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from distillation_bench.bench.common.devices import DEVICE
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.execution.executors import (
    PLAIN,
    Engine,
    Parcel,
    ProcessPerTask,
    TaskFailed,
    describe_failure,
)


class InProcess(Engine):
    """Runs each task at once; its future is done when `submit` returns."""

    def __init__(self, device: str = "cpu") -> None:
        os.environ[DEVICE] = device

    def submit(
        self, function: Callable[..., Any], *arguments: Any, parcel: Parcel = PLAIN
    ) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments))
        except UsageError as error:
            future.set_exception(error)
        except (Exception, SystemExit, GeneratorExit) as error:
            future.set_exception(TaskFailed(*describe_failure(error)))
        return future

    def slots(self) -> int:
        return 1

    def stop(self) -> None:
        """Nothing is running."""


def engine(jobs: int, timeout: float | None = None, devices: Sequence[str] = ("cpu",)) -> Engine:
    """In the place of `ProcessPerTask`: processes only for what can't do without."""
    if jobs > 1 or timeout is not None:
        return ProcessPerTask(jobs, timeout, devices)
    return InProcess(devices[0])
