"""The command `report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distillation_bench.bench.cli.options import Mixed, Plugins, RunFolders
from distillation_bench.bench.cli.output_files import check_targets, is_stdout, write_output
from distillation_bench.bench.cli.terminal import page


def report(
    folders: RunFolders,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="file to write; - is stdout",
            show_default="report.html in the first folder",
        ),
    ] = None,
    mixed: Mixed = False,
    plugin: Plugins = None,
    no_figures: Annotated[
        bool, typer.Option("--no-figures", help="only tables and text, which is faster")
    ] = False,
) -> None:
    """Write a report as one HTML page, and print its path."""
    from distillation_bench.bench.api.results import load
    from distillation_bench.bench.common.files import write_atomically
    from distillation_bench.bench.planning.plugins.loading import load_all
    from distillation_bench.bench.report.page import build_report

    path = out or folders[0] / "report.html"
    # A run may come from elsewhere: a link in it is replaced, never followed.
    is_link = out is None and path.is_symlink()
    if not is_link:
        check_targets(path)
    load_all(plugin or ())
    content = build_report(load(*folders, mixed=mixed), with_figures=not no_figures)
    if is_link:
        write_atomically(path, content.encode())
    else:
        write_output(path, content)
    if not is_stdout(path):
        page(str(path))
