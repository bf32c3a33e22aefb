"""The command `clean`."""

from __future__ import annotations

from typing import Annotated

import typer

from distillation_bench.bench.cli.options import OptionalCacheFolder, OptionalRunFolders
from distillation_bench.bench.cli.terminal import page
from distillation_bench.bench.common.errors import UsageError


def clean(
    folders: OptionalRunFolders = None,
    cache: OptionalCacheFolder = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="REASON",
            help="failed, unasked, damaged, leftover or old; repeatable",
        ),
    ] = None,
    days: Annotated[
        int | None,
        typer.Option(
            "--older",
            min=1,
            max=100_000,
            metavar="DAYS",
            help="include cache entries older than this, but no teachers of the given runs",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="remove the listed files")] = False,
) -> None:
    """List files that are not needed; remove them with --yes."""
    from distillation_bench.bench.storage.run_folder import Run
    from distillation_bench.bench.storage.upkeep.clean import clean as clean_up

    if not folders and cache is None:
        raise UsageError("clean: give a run's folder, or --cache FOLDER")
    if days and cache is None:
        raise UsageError("--older: needs --cache FOLDER")
    page(clean_up([Run(folder) for folder in folders or []], cache, only or [], days, yes))
