"""The command that says which method is better: compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.app import RunFolders, app, page


@app.command()
def compare(
    folders: RunFolders,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", help="NAME[:SCORE][@SET], else nll; repeatable"),
    ] = None,
    baseline: Annotated[
        str, typer.Option("--baseline", help="compare all with this one; else all pairs")
    ] = "",
    dataset: Annotated[list[str] | None, typer.Option("-d", "--dataset", help="repeatable")] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "-m", "--method", "--label", help="label, or method with all variants; repeatable"
        ),
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="write a row a pair")] = None,
    json: Annotated[Path | None, typer.Option("--json", help="write everything")] = None,
    latex: Annotated[Path | None, typer.Option("--latex", help="write tables for a paper")] = None,
    mixed: Annotated[
        bool, typer.Option("--mixed", help="take rows of other protocols too, marked")
    ] = False,
) -> None:
    """Say which method is better, paired by teacher and seed, and what n allows."""
    from bench.analysis import comparison as comparing
    from bench.analysis.results import read
    from bench.files import write_atomically

    results = read(folders, mixed)
    metrics = metric or [comparing.DEFAULT_METRIC]
    found = comparing.compare_all(results, metrics, baseline, dataset or [], method or [])
    if csv:
        write_atomically(csv, comparing.as_csv(*found).encode())
    if json:
        write_atomically(json, comparing.as_json(*found).encode())
    if latex:
        write_atomically(latex, "\n".join(map(comparing.as_latex, found)).encode())
    page("\n\n\n".join(map(comparing.as_text, found)))
