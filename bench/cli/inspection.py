"""Commands that look into a run: status, board, why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distillation_bench.bench.cli.app import RunFolder, app, page
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.paths import CACHE


@app.command()
def status(
    folder: RunFolder,
    watch: Annotated[
        bool, typer.Option("--watch", help="go on until nothing runs any more, or Ctrl-C")
    ] = False,
    every: Annotated[
        float | None,
        typer.Option("--every", metavar="SECONDS", min=0.1, max=3600, help="with --watch; 2"),
    ] = None,
) -> None:
    """Say what of a run is done, failed and missing."""
    from distillation_bench.bench.storage.run_folder import Run

    if watch:
        from distillation_bench.bench.execution.progress.watch import watch as go_on

        go_on(Run(folder), every or 2.0)
        return
    if every is not None:
        raise UsageError("--every: is of --watch, give that too")
    from distillation_bench.bench.cli.overview import status_text

    page(status_text(Run(folder)))


@app.command()
def board(
    folder: RunFolder,
    markdown: Annotated[bool, typer.Option("--markdown", help="as Markdown")] = False,
) -> None:
    """Print a run's leaderboard."""
    from distillation_bench.bench.cli.overview import board_text
    from distillation_bench.bench.storage.run_folder import Run

    page(board_text(Run(folder), markdown))


@app.command()
def why(
    cell: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN CELL",
            help="a run's folder and a cell's id, its beginning, or dataset, label and seed; "
            "or the path of a record",
        ),
    ],
    cache: Annotated[
        Path, typer.Option("--cache", help="where its teacher is looked for", envvar="BENCH_CACHE")
    ] = CACHE,
) -> None:
    """Tell all of one cell: reason, traceback, parameters, figures, training, how to run it."""
    from distillation_bench.bench.analysis.why import why as explain
    from distillation_bench.bench.cli.rerun_command import rerun_command

    page(explain(cell, cache, rerun_command))
