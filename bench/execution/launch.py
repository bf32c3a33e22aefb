"""From what is asked for to a run that can start: everything is checked before anything trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from distillation_bench.bench.common.errors import UsageError, nearest
from distillation_bench.bench.planning.request import Request

if TYPE_CHECKING:
    from distillation_bench.bench.execution.runner import RunOptions
    from distillation_bench.bench.planning.cells import Cell
    from distillation_bench.bench.planning.plugins.plugin_files import Plugin
    from distillation_bench.bench.storage.run_folder import Run

MIN_TIMEOUT, MAX_TIMEOUT = 0.1, 1e7
"""The limits of a cell's seconds."""


@dataclass(frozen=True)
class Execution:
    """How cells are run. Nothing here changes a value.

    Attributes:
        download: whether to download the datasets whose files are missing.
        checkpoint: the least number of seconds between two checkpoints of a training.
        executor: `local`, or `dask` or `ray` for a cluster.
        scheduler: the address of a cluster that is running; empty to start one.
        timeout: the most seconds that a cell may take; None for no limit.
        fail_fast: whether to start nothing after the first failure.
        retry_failed: whether to run failed cells again.
        force: whether to run finished cells again.
    """

    download: bool = False
    checkpoint: float = 120
    executor: str = "local"
    scheduler: str = ""
    timeout: float | None = None
    fail_fast: bool = False
    retry_failed: bool = False
    force: bool = False


class Launch(NamedTuple):
    """The arguments of `runner.run_cells`."""

    run: Run
    cells: list[Cell]
    options: RunOptions


def prepare(request: Request, execution: Execution, command: str) -> Launch:
    """Load what is asked for, check it and plan its cells.

    Args:
        request, execution: what is asked for.
        command: the command line that asks for it, for the run's description.

    Raises:
        UsageError: something that was asked for is wrong.
    """
    # First of all: the server loads torch while everything else gets ready.
    _start_fork_server(request, execution)
    from distillation_bench.bench.common.devices import device_kind
    from distillation_bench.bench.planning.cells import make_cells
    from distillation_bench.bench.planning.evaluation_sources import fetch_missing
    from distillation_bench.bench.planning.plugins.registrations import require_reachable
    from distillation_bench.bench.storage.run_folder import Run

    devices, jobs = _devices_and_jobs(request, execution)
    config, plugins = request.configure()
    require_reachable(config, plugins)
    if execution.download:
        fetch_missing(config, request.data_root)
    _check_executor(execution)
    cells = make_cells(config, request.data_root, device_kind(devices))
    options = _run_options(request, execution, devices, jobs, plugins, command)
    return Launch(Run(request.folder), cells, options)


def _start_fork_server(request: Request, execution: Execution) -> None:
    """Start the server that workers are forked from, unless it is probably not needed."""
    from distillation_bench.bench.execution.executors.processes.forked_process import start_server

    # A folder with derived tables was run to the end before: there may be nothing to do.
    was_run = (request.folder / "derived.json").exists()
    if execution.executor == "local" and not was_run:
        start_server()


def _devices_and_jobs(request: Request, execution: Execution) -> tuple[list[str], int]:
    """Return the devices, and the number of jobs at a time; 0 lets the cluster decide.

    A cluster's workers may have devices that this machine lacks.
    """
    from distillation_bench.bench.common.devices import parse_devices

    if execution.executor == "local":
        devices = parse_devices(request.device)
    elif request.device in ("auto", "cpu", "cuda"):
        devices = ["cuda" if request.device == "cuda" else "cpu"]
    else:
        raise UsageError(f"--device {request.device}: on a cluster cpu or cuda, one GPU a worker")
    return devices, request.jobs or 0 if execution.scheduler else request.jobs_at_a_time(devices)


def _check_executor(execution: Execution) -> None:
    """Raise UsageError if there is no such executor, or its library is not installed."""
    from distillation_bench.bench.execution.executors.registry import EXECUTORS, cluster_named

    name, scheduler = execution.executor, execution.scheduler
    if name not in EXECUTORS:
        raise UsageError(f"--executor {name}: unknown{nearest(name, EXECUTORS)}")
    if name != "local":
        cluster_named(name)
    elif scheduler:
        raise UsageError(f"--scheduler {scheduler}: is for --executor dask or ray")


def _run_options(
    request: Request,
    execution: Execution,
    devices: list[str],
    jobs: int,
    plugins: tuple[Plugin, ...],
    command: str,
) -> RunOptions:
    from distillation_bench.bench.execution import runner

    return runner.RunOptions(
        jobs=jobs,
        cache=request.cache.absolute(),
        data_root=request.data_root.absolute(),
        devices=tuple(devices),
        checkpoint=execution.checkpoint,
        plugins=plugins,
        timeout=execution.timeout,
        fail_fast=execution.fail_fast,
        retry_failed=execution.retry_failed,
        force=execution.force,
        executor=execution.executor,
        scheduler=execution.scheduler,
        command=command,
    )
