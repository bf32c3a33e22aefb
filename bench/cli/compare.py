"""The command that says which method is better: compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distillation_bench.bench.cli.app import Datasets, Labels, Mixed, RunFolders, app, page
from distillation_bench.bench.cli.output_files import check_targets, is_stdout, write


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
    dataset: Datasets = None,
    method: Labels = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="a row a pair; - is stdout")] = None,
    json: Annotated[Path | None, typer.Option("--json", help="everything; - is stdout")] = None,
    latex: Annotated[
        Path | None, typer.Option("--latex", help="tables for a paper; - is stdout")
    ] = None,
    mixed: Mixed = False,
) -> None:
    """Say which method is better, paired by teacher and seed, and what n allows."""
    from distillation_bench.bench.analysis import comparison as comparing
    from distillation_bench.bench.analysis.results import read

    check_targets(csv, json, latex)
    results = read(folders, mixed)
    metrics = metric or [comparing.DEFAULT_METRIC]
    found = comparing.compare_all(results, metrics, baseline, dataset or [], method or [])
    files: list[tuple[Path, str]] = []
    if csv:
        files.append((csv, comparing.as_csv(*found)))
    if json:
        files.append((json, comparing.as_json(*found)))
    if latex:
        files.append((latex, comparing.as_latex(*found)))
    # All are made before any is written.
    for path, text in files:
        write(path, text)
    if not any(is_stdout(path) for path, _ in files):
        page("\n\n\n".join(map(comparing.as_text, found)))
