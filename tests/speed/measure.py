"""Tools of all parts: rates measured in turn and rows of a table."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

import torch
from tabulate import tabulate

from distillation_bench.bench.execution.executors.local import LocalExecutor
from distillation_bench.bench.training.hardware.environment import environment

Row = tuple[str, str, str]
"""What, the median with its range, the goal."""
JOBS = 2
"""Our processes of one thread, or the usual way's threads."""


class Measured(Protocol):
    """Something whose rate can be measured repeatedly."""

    def rate(self) -> float:
        """Measure the rate in units a second."""


def in_turn(measured: Sequence[Measured], rounds: int) -> list[list[float]]:
    """Return the rates of each item by round: A B A B, so that both meet the same load."""
    rates = [[item.rate() for item in measured] for _ in range(rounds)]
    return [list(item_rates) for item_rates in zip(*rates, strict=True)]


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Ratios within each round."""
    return [a / b for a, b in zip(above, below, strict=True)]


def summary(values: Sequence[float], unit: str = "s") -> str:
    """Median with the range and, of more than one value, their number."""
    low, high = (f"{value:,.3g}" for value in (min(values), max(values)))
    median = f"{statistics.median(values):,.3g} {unit}"
    return f"{median} ({low} to {high}, n = {len(values)})" if len(values) > 1 else median


def summary_whole(values: Sequence[float], unit: str) -> str:
    """The same for large numbers, with no digit after the point."""
    median, low, high = statistics.median(values), min(values), max(values)
    return f"{median:,.0f} {unit} ({low:,.0f} to {high:,.0f}, n = {len(values)})"


def print_table(rows: Sequence[Row], hardware: str) -> None:
    """Print the rows below the name of the hardware."""
    table = tabulate(rows, ["what", "median (range)", "goal"], tablefmt="pipe")
    print(f"{hardware}\n\n{table}\n", flush=True)


def timed(function: Callable[[], object], device: torch.device | None = None) -> float:
    """Seconds of one call, until the device is done too."""
    start = time.perf_counter()
    function()
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def product_rate(size: int, dtype: torch.dtype, device: torch.device) -> float:
    """FLOP/s of a square matrix product, the fastest of some: what the device can do."""
    a, b = torch.randn(2, size, size, device=device, dtype=dtype)
    return 2 * size**3 / min(timed(lambda: a @ b, device) for _ in range(12))


class Pool:
    """Jobs in processes of one thread each, as the scheduler runs them."""

    def __init__(self, device: str = "cpu") -> None:
        jobs = JOBS if device == "cpu" else 1
        self._executor = LocalExecutor(jobs, devices=(device,))
        described = self.call(environment)
        where = described["device"] if device != "cpu" else described["processor"]
        self.hardware = f"{where}, {os.cpu_count()} cores, torch {described['torch']}"

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return the result of a job that runs alone in one process."""
        return self._executor.submit(function, *arguments).result()

    def all(self, function: Callable[..., Any], arguments: Sequence[Any]) -> list[Any]:
        """Return the results of jobs, as many at a time as there are processes."""
        futures: list[Future[Any]] = [
            self._executor.submit(function, argument) for argument in arguments
        ]
        return [future.result() for future in futures]

    def stop(self) -> None:
        """End the processes."""
        self._executor.stop()


class AtOnce:
    """The same measurement in all processes at once: their joint rate."""

    def __init__(self, pool: Pool, measured: Measured, times: int = 1) -> None:
        self._pool = pool
        self._measured = [measured] * (JOBS * times)

    def rate(self) -> float:
        rates: list[float] = self._pool.all(rate_of, self._measured)
        return JOBS * statistics.harmonic_mean(rates)


def rate_of(measured: Measured) -> float:
    """Return one measurement; run as a job."""
    return measured.rate()
