"""The command `export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from distillation_bench.bench.cli.options import Mixed, RunFolders
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
    from distillation_bench.bench.analysis.results import load

    _check_export(out, tensorboard)
    results = load(*folders, mixed=mixed)
    if out is not None:
        _export_table(results, out)
    if tensorboard is not None:
        _export_curves(results, tensorboard)


def _check_export(out: Path | None, tensorboard: Path | None) -> None:
    """Raise UsageError if nothing is to be written, or can't be."""
    from distillation_bench.bench.analysis.export import check_format, require_package

    if out is None and tensorboard is None:
        raise UsageError("export: give --out FILE.csv, --out FILE.parquet or --tensorboard FOLDER")
    if out is not None:
        check_targets(out)
        if not is_stdout(out):
            check_format(out)
    if tensorboard is not None:
        check_folder(tensorboard, "--tensorboard")
        require_package("tensorboardX", f"--tensorboard {tensorboard}")


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
    curves = f"curves of {counted(count, 'cell')} in {folder}"
    page(f"{curves}; view them with: tensorboard --logdir {folder}")
