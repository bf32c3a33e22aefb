"""The commands that look after runs: verify, merge, clean, export."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from distillation_bench.bench.cli.options import (
    Mixed,
    OptionalCacheFolder,
    OptionalRunFolders,
    RunFolders,
)
from distillation_bench.bench.cli.output_files import (
    check_folder,
    check_targets,
    is_stdout,
    stdout,
    target,
)
from distillation_bench.bench.cli.terminal import notice, page
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.text import counted

if TYPE_CHECKING:
    from distillation_bench.bench.analysis.results import Results


def verify(folders: OptionalRunFolders = None, cache: OptionalCacheFolder = None) -> None:
    """Check records, checksums and tables; exit status 1 for errors."""
    from distillation_bench.bench.storage.run_folder import Run
    from distillation_bench.bench.storage.upkeep import verify as verification

    if not folders and cache is None:
        raise UsageError("verify: give a run's folder, or --cache FOLDER")
    wrong = notes = 0
    runs = [Run(folder) for folder in folders or []]
    findings = [verification.verify(run) for run in runs]
    checked = [counted(sum(map(verification.count_records, runs)), "record")] if runs else []
    if cache is not None:
        findings.append(verification.verify_cache(cache))
        checked.append(f"{len(verification.cache_keys(cache))} entries of the cache")
    for finding in chain.from_iterable(findings):
        page(str(finding))
        wrong += finding.wrong
        notes += not finding.wrong
    page(f"{' and '.join(checked)} checked: {wrong} wrong, {counted(notes, 'note')}")
    if wrong:
        raise typer.Exit(1)


def merge(
    folders: RunFolders,
    into: Annotated[
        Path, typer.Option("--into", metavar="RUN", help="a new folder or a run to merge into")
    ],
    prefer: Annotated[
        Path | None,
        typer.Option("--prefer", metavar="RUN", help="run whose values win where runs differ"),
    ] = None,
) -> None:
    """Merge runs of one protocol into another run."""
    from distillation_bench.bench.storage.run_folder import Run
    from distillation_bench.bench.storage.upkeep.merge import merge as merge_runs

    preferred = Run(prefer) if prefer else None
    page(merge_runs([Run(folder) for folder in folders], Run(into), preferred))


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


def export(
    folders: RunFolders,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="FILE.csv or FILE.parquet; - is stdout"),
    ] = None,
    tensorboard: Annotated[
        Path | None,
        typer.Option("--tensorboard", metavar="FOLDER", help="training curves for TensorBoard"),
    ] = None,
    mixed: Mixed = False,
) -> None:
    """Write all values as a table, or curves for TensorBoard."""
    from distillation_bench.bench.analysis.results import read

    _check_export(out, tensorboard)
    results = read(folders, mixed)
    if out is not None:
        _export_table(results, out)
    if tensorboard is not None:
        _export_curves(results, tensorboard)


def _check_export(out: Path | None, tensorboard: Path | None) -> None:
    """Raise UsageError if nothing is to be written, or can't be."""
    from distillation_bench.bench.analysis.export import check_format, check_tensorboard

    if out is None and tensorboard is None:
        raise UsageError("export: give --out FILE.csv, --out FILE.parquet or --tensorboard FOLDER")
    if out is not None:
        check_targets(out)
        if not is_stdout(out):
            check_format(out)
    if tensorboard is not None:
        check_folder(tensorboard, "--tensorboard")
        check_tensorboard(tensorboard)


def _export_table(results: Results, out: Path) -> None:
    from distillation_bench.bench.analysis.export import check_format, write_csv, write_table

    if is_stdout(out):
        write_csv(results, stdout())
        return
    with target(out) as path:
        # The file that a link leads to has a format of its own.
        check_format(path)
        rows = write_table(results, path)
    notice(f"{out}: {counted(rows, 'row')}")


def _export_curves(results: Results, folder: Path) -> None:
    from distillation_bench.bench.analysis.export import write_curves

    count, errors = write_curves(results, folder)
    for error in errors:
        notice(f"{error}, left out")
    page(f"{count} cells' curves in {folder}; look: tensorboard --logdir {folder}")
