"""The command `merge`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distillation_bench.bench.cli.options import RunFolders
from distillation_bench.bench.cli.terminal import page


def merge(
    folders: RunFolders,
    into: Annotated[
        Path, typer.Option("--into", metavar="RUN", help="a new folder or a run to merge into")
    ],
    prefer: Annotated[
        Path | None,
        typer.Option("--prefer", metavar="RUN", help="run whose values win where runs differ"),
    ] = None,
    no_arrays: Annotated[
        bool, typer.Option("--no-arrays", help="leave out histories and the arrays of figures")
    ] = False,
) -> None:
    """Merge runs of one protocol into another run."""
    from distillation_bench.bench.storage.run_folder import Run
    from distillation_bench.bench.storage.upkeep.merge import merge as merge_runs

    preferred = Run(prefer) if prefer else None
    sources = [Run(folder) for folder in folders]
    page(merge_runs(sources, Run(into), preferred, arrays=not no_arrays))
