"""The command that writes a run's report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.app import RunFolders, app, page


@app.command()
def report(
    folders: RunFolders,
    out: Annotated[
        Path | None, typer.Option("--out", help="the file; else report.html in the first folder")
    ] = None,
    mixed: Annotated[
        bool, typer.Option("--mixed", help="take rows of other protocols too, marked")
    ] = False,
    no_figures: Annotated[
        bool, typer.Option("--no-figures", help="tables and words only, which is quicker")
    ] = False,
) -> None:
    """Write a run's report, one HTML page, and say where it is."""
    from bench.analysis.report import build
    from bench.analysis.results import read
    from bench.errors import UsageError
    from bench.files import write_atomically

    path = out or folders[0] / "report.html"
    if path.is_dir():
        raise UsageError(f"--out {path}: a folder, not a file")
    content = build(read(folders, mixed), with_figures=not no_figures)
    # In place of what is there: a link is replaced, never followed.
    write_atomically(path, content.encode())
    page(str(path))
