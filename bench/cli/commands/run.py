"""The command `run`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from distillation_bench.bench.cli.run_setup import SetupOptions
from distillation_bench.bench.cli.terminal import notice, page
from distillation_bench.bench.common.program import (
    KEPT,
    command_here,
    recorded_command,
    resume_command,
)
from distillation_bench.bench.common.signals import EXIT_STATUS
from distillation_bench.bench.execution.launch import (
    MAX_TIMEOUT,
    MIN_TIMEOUT,
    Execution,
    Launch,
    prepare,
)

if TYPE_CHECKING:
    from distillation_bench.bench.storage.run_folder import Run


@dataclass(frozen=True)
class ExecutionOptions(Execution):
    """The options of `run` alone."""

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
        float | None, typer.Option(help="seconds a cell may take", min=MIN_TIMEOUT, max=MAX_TIMEOUT)
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
    launch = prepare(setup, execution, recorded_command())
    succeeded = _run_cells(launch)
    _show_board(launch.run, succeeded)


def _run_cells(launch: Launch) -> bool:
    """Run cells and return whether all succeeded; if interrupted, say how to resume."""
    from distillation_bench.bench.execution import runner

    try:
        return runner.run_cells(*launch)
    except KeyboardInterrupt:
        print(f"\ninterrupted; {KEPT}. Resume with:", file=sys.stderr)
        notice(f"  {resume_command()}")
        raise typer.Exit(EXIT_STATUS) from None


def _show_board(run: Run, succeeded: bool) -> None:
    """Print the leaderboard; exit with status 1 if some cells failed."""
    from distillation_bench.bench.cli.leaderboard import board_text

    try:
        page(board_text([run.folder]))
    finally:
        # Also if stdout is closed.
        if not succeeded:
            notice(f"some cells failed: {command_here('status', str(run.folder))}")
            raise typer.Exit(1)
