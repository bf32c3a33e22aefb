"""The command `run`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from distillation_bench.bench.cli.run_setup import SetupOptions, configure
from distillation_bench.bench.cli.terminal import notice, page
from distillation_bench.bench.common.errors import UsageError, nearest
from distillation_bench.bench.common.program import (
    KEPT,
    command_here,
    recorded_command,
    resume_command,
)
from distillation_bench.bench.common.signals import EXIT_STATUS

if TYPE_CHECKING:
    from distillation_bench.bench.execution.runner import RunOptions
    from distillation_bench.bench.planning.cells import Cell
    from distillation_bench.bench.planning.plugins.plugin_files import Plugin
    from distillation_bench.bench.storage.run_folder import Run


@dataclass(frozen=True)
class ExecutionOptions:
    """The options of `run` alone: how cells are executed."""

    download: Annotated[bool, typer.Option("--download", help="download missing datasets")] = False
    checkpoint: Annotated[
        float, typer.Option(help="seconds between checkpoints of a training", min=0)
    ] = 120
    executor: Annotated[
        str, typer.Option(help="local, or dask or ray for a cluster: a new one or --scheduler's")
    ] = "local"
    scheduler: Annotated[
        str,
        typer.Option(help="address of a running cluster: tcp://HOST:8786 (Dask), HOST:6379 (Ray)"),
    ] = ""
    timeout: Annotated[
        float | None, typer.Option(help="seconds a cell may take", min=0.1, max=1e7)
    ] = None
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="start no job after the first failure")
    ] = False
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="run failed cells again")] = (
        False
    )
    force: Annotated[bool, typer.Option("--force", help="run finished cells again too")] = False


def run(setup: SetupOptions, execution: ExecutionOptions) -> None:
    """Run the cells that are not done yet."""
    # First of all: the server loads torch while everything else gets ready.
    _start_fork_server(setup, execution)
    from distillation_bench.bench.common.devices import device_kind
    from distillation_bench.bench.planning.cells import make_cells
    from distillation_bench.bench.planning.evaluation_sources import fetch_missing
    from distillation_bench.bench.storage.run_folder import Run

    devices, jobs = _devices_and_jobs(setup, execution)
    config, plugins = configure(setup)
    if execution.download:
        fetch_missing(config, setup.data_root)
    _check_executor(execution)
    cells = make_cells(config, setup.data_root, device_kind(devices))
    options = _runner_options(setup, execution, devices, jobs, plugins)
    succeeded = _run_cells(Run(setup.folder), cells, options)
    _show_board(Run(setup.folder), succeeded)


def _start_fork_server(setup: SetupOptions, execution: ExecutionOptions) -> None:
    """Start the server that workers are forked from, unless it is probably not needed."""
    from distillation_bench.bench.execution.executors.processes.forked_process import start_server

    # A folder with derived tables was run to the end before: there may be nothing to do.
    was_run = (setup.folder / "derived.json").exists()
    if execution.executor == "local" and not was_run:
        start_server()


def _devices_and_jobs(setup: SetupOptions, execution: ExecutionOptions) -> tuple[list[str], int]:
    """Return the devices, and the number of jobs at a time; 0 lets the cluster decide.

    A cluster's workers may have devices that this machine lacks.
    """
    from distillation_bench.bench.common.devices import parse_devices

    if execution.executor == "local":
        devices = parse_devices(setup.device)
    elif setup.device in ("auto", "cpu", "cuda"):
        devices = ["cuda" if setup.device == "cuda" else "cpu"]
    else:
        raise UsageError(f"--device {setup.device}: on a cluster cpu or cuda, one GPU a worker")
    return devices, setup.jobs or 0 if execution.scheduler else setup.jobs_at_a_time(devices)


def _check_executor(execution: ExecutionOptions) -> None:
    """Raise UsageError if there is no such executor, or its library is not installed."""
    from distillation_bench.bench.execution.executors.registry import EXECUTORS, cluster_named

    name, scheduler = execution.executor, execution.scheduler
    if name not in EXECUTORS:
        raise UsageError(f"--executor {name}: unknown{nearest(name, EXECUTORS)}")
    if name != "local":
        cluster_named(name)
    elif scheduler:
        raise UsageError(f"--scheduler {scheduler}: is for --executor dask or ray")


def _runner_options(
    setup: SetupOptions,
    execution: ExecutionOptions,
    devices: list[str],
    jobs: int,
    plugins: tuple[Plugin, ...],
) -> RunOptions:
    from distillation_bench.bench.execution import runner

    return runner.RunOptions(
        jobs=jobs,
        cache=setup.cache.absolute(),
        data_root=setup.data_root.absolute(),
        devices=tuple(devices),
        checkpoint=execution.checkpoint,
        plugins=plugins,
        timeout=execution.timeout,
        fail_fast=execution.fail_fast,
        retry_failed=execution.retry_failed,
        force=execution.force,
        executor=execution.executor,
        scheduler=execution.scheduler,
        command=recorded_command(),
    )


def _run_cells(run: Run, cells: list[Cell], options: RunOptions) -> bool:
    """Run cells and return whether all succeeded; if interrupted, say how to resume."""
    from distillation_bench.bench.execution import runner

    try:
        return runner.run_cells(run, cells, options)
    except KeyboardInterrupt:
        print(f"\ninterrupted; {KEPT}. Resume with:", file=sys.stderr)
        notice(f"  {resume_command()}")
        raise typer.Exit(EXIT_STATUS) from None


def _show_board(run: Run, succeeded: bool) -> None:
    """Print the leaderboard; exit with status 1 if some cells failed."""
    from distillation_bench.bench.cli.leaderboard import board_text

    try:
        page(board_text(run, markdown=False))
    finally:
        # Also if stdout is closed.
        if not succeeded:
            notice(f"some cells failed: {command_here('status', str(run.folder))}")
            raise typer.Exit(1)
