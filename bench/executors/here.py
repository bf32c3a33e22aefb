"""One task after another in this process."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from bench.devices import DEVICE
from bench.executors.engine import PLAIN, Engine, Parcel, TaskFailed, describe_failure


class InProcess(Engine):
    """Runs each task at once in this process; its future is done when `submit` returns."""

    def __init__(self, device: str = "cpu") -> None:
        os.environ[DEVICE] = device

    def submit(
        self, function: Callable[..., Any], *arguments: Any, parcel: Parcel = PLAIN
    ) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments))
        except (Exception, SystemExit, GeneratorExit) as error:
            future.set_exception(TaskFailed(*describe_failure(error)))
        return future

    def slots(self) -> int:
        return 1

    def stop(self) -> None:
        """Nothing is running."""
