"""An executor without processes: jobs run in the process of the test, one after another."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from distillation_bench.bench.common.devices import DEVICE_VARIABLE
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.execution.executors.base import (
    DEFAULT_OPTIONS,
    Executor,
    JobFailed,
    JobOptions,
    describe_failure,
)
from distillation_bench.bench.execution.executors.local import LocalExecutor


class InProcess(Executor):
    """Runs each job at once; its future is done when `submit` returns."""

    def __init__(self, device: str = "cpu") -> None:
        os.environ[DEVICE_VARIABLE] = device

    def submit(
        self, function: Callable[..., Any], *arguments: Any, options: JobOptions = DEFAULT_OPTIONS
    ) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments))
        except UsageError as error:
            future.set_exception(error)
        except (Exception, SystemExit, GeneratorExit) as error:
            future.set_exception(JobFailed(*describe_failure(error)))
        return future

    def slots(self) -> int:
        return 1

    def stop(self) -> None:
        """Do nothing: no job is running."""


def local_executor(
    jobs: int, timeout: float | None = None, devices: Sequence[str] = ("cpu",)
) -> Executor:
    """Replace `LocalExecutor`: processes are started only for several jobs or a timeout."""
    if jobs > 1 or timeout is not None:
        return LocalExecutor(jobs, timeout, devices)
    return InProcess(devices[0])
