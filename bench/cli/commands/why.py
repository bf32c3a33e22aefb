"""The command `why`."""

from __future__ import annotations

from typing import Annotated

import typer

from distillation_bench.bench.cli.options import CacheFolder
from distillation_bench.bench.cli.terminal import page
from distillation_bench.bench.common.paths import CACHE


def why(
    cell: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN CELL",
            help="a run's folder and a cell's id, its beginning, or dataset, label and seed; "
            "or the path of a record",
        ),
    ],
    cache: CacheFolder = CACHE,
) -> None:
    """Explain a cell: reason, traceback, parameters, values, training."""
    from distillation_bench.bench.analysis.one_cell import describe_cell
    from distillation_bench.bench.cli.rerun_command import rerun_command

    page(describe_cell(cell, cache, rerun_command))
