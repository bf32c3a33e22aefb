"""Commands that look after runs: verify, merge, clean, export."""

from __future__ import annotations

import sys
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from distillation_bench.bench.cli.app import Mixed, RunFolders, app, page
from distillation_bench.bench.cli.output_files import (
    check_folder,
    check_targets,
    is_stdout,
    stdout,
    target,
)
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.text import terminal_safe

SomeRuns = Annotated[list[Path] | None, typer.Argument(help="folders of runs")]
CacheFolder = Annotated[Path | None, typer.Option("--cache", metavar="FOLDER")]


@app.command()
def verify(
    folders: SomeRuns = None,
    cache: Annotated[
        Path | None, typer.Option("--cache", metavar="FOLDER", help="its entries too")
    ] = None,
) -> None:
    """Check that runs are whole: records, sums, tables; exit status 1 if something is wrong."""
    from distillation_bench.bench.storage.run_folder import Run
    from distillation_bench.bench.storage.upkeep import verify as verifying

    if not folders and cache is None:
        raise UsageError("verify: give a run's folder, or --cache FOLDER")
    wrong = notes = 0
    runs = [Run(folder) for folder in folders or []]
    findings = [verifying.verify(run) for run in runs]
    checked = [_counted(sum(map(verifying.records_of, runs)), "record")] if runs else []
    if cache is not None:
        findings.append(verifying.verify_cache(cache))
        checked.append(f"{len(verifying.entries(cache))} entries of the cache")
    for finding in chain.from_iterable(findings):
        page(str(finding))
        wrong += finding.wrong
        notes += not finding.wrong
    page(f"{' and '.join(checked)} checked: {wrong} wrong, {_counted(notes, 'note')}")
    if wrong:
        raise typer.Exit(1)


@app.command()
def merge(
    folders: RunFolders,
    into: Annotated[Path, typer.Option("--into", metavar="RUN", help="a new folder, or a run")],
    prefer: Annotated[
        Path | None,
        typer.Option("--prefer", metavar="RUN", help="whose figures to take where they differ"),
    ] = None,
) -> None:
    """Join runs of one protocol into one that `run` can go on with; the runs stay as they are."""
    from distillation_bench.bench.storage.run_folder import Run
    from distillation_bench.bench.storage.upkeep.merge import merge as merge_runs

    preferred = Run(prefer) if prefer else None
    page(merge_runs([Run(folder) for folder in folders], Run(into), preferred))


@app.command()
def clean(
    folders: SomeRuns = None,
    cache: CacheFolder = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="WHAT", help="failed, unasked, damaged, leftover or old"),
    ] = None,
    days: Annotated[
        int | None,
        typer.Option(
            "--older",
            min=1,
            max=100_000,
            metavar="DAYS",
            help="entries of the cache made so long ago, too, but for teachers of the runs given",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="remove it; otherwise it is listed")] = False,
) -> None:
    """List what runs and a cache don't need: failed and unasked records, damage; or remove it."""
    from distillation_bench.bench.storage.run_folder import Run
    from distillation_bench.bench.storage.upkeep.clean import clean as clean_up

    if not folders and cache is None:
        raise UsageError("clean: give a run's folder, or --cache FOLDER")
    if days and cache is None:
        raise UsageError("--older: is of the cache, give --cache FOLDER")
    page(clean_up([Run(folder) for folder in folders or []], cache, only or [], days, yes))


@app.command()
def export(
    folders: RunFolders,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="FILE.csv or FILE.parquet; - is the terminal"),
    ] = None,
    tensorboard: Annotated[
        Path | None,
        typer.Option("--tensorboard", metavar="FOLDER", help="training curves for TensorBoard"),
    ] = None,
    mixed: Mixed = False,
) -> None:
    """Write every figure as a tidy table, or training curves for TensorBoard."""
    from distillation_bench.bench.analysis import export as exporting
    from distillation_bench.bench.analysis.results import read

    if out is None and tensorboard is None:
        raise UsageError("export: give --out FILE.csv, --out FILE.parquet or --tensorboard FOLDER")
    if out is not None:
        check_targets(out)
        if not is_stdout(out):
            exporting.check_format(out)
    if tensorboard is not None:
        check_folder(tensorboard, "--tensorboard")
        exporting.check_tensorboard(tensorboard)
    results = read(folders, mixed)
    if out is not None and is_stdout(out):
        exporting.write_csv(results, stdout())
    elif out is not None:
        with target(out) as place:
            # What a link leads to has a format of its own.
            exporting.check_format(place)
            rows = exporting.write_table(results, place)
        print(terminal_safe(f"{out}: {_counted(rows, 'row')}"), file=sys.stderr)
    if tensorboard is not None:
        count, damaged = exporting.write_curves(results, tensorboard)
        for error in damaged:
            print(terminal_safe(f"{error}, left out"), file=sys.stderr)
        page(f"{count} cells' curves in {tensorboard}; look: tensorboard --logdir {tensorboard}")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
