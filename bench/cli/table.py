"""The command that prints tables for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distillation_bench.bench.cli.app import Mixed, RunFolders, app, page
from distillation_bench.bench.cli.output_files import check_targets, write
from distillation_bench.bench.common.errors import UsageError, nearest

File = Annotated[Path | None, typer.Option(metavar="FILE", help="- is stdout")]


@app.command()
def table(
    runs: RunFolders,
    latex: File = None,
    markdown: File = None,
    csv: File = None,
    macros: Annotated[
        Path | None, typer.Option(metavar="FILE", help=r"one \newcommand a figure; - is stdout")
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", help="NAME[:SCORE][@SET], e.g. ece@rotation/3; repeatable"),
    ] = None,
    dataset: Annotated[
        list[str] | None, typer.Option("-d", "--dataset", help="kept, in this order; repeatable")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "-m",
            "--method",
            help="label, or method with all variants, kept in this order; repeatable",
        ),
    ] = None,
    by: Annotated[
        str, typer.Option("--by", help="a table per dataset (metrics as columns) or per metric")
    ] = "dataset",
    transpose: Annotated[bool, typer.Option("--transpose", help="methods as columns")] = False,
    sort: Annotated[
        str, typer.Option("--sort", metavar="METRIC", help="methods by it, the best first")
    ] = "",
    digits: Annotated[
        int | None, typer.Option("--digits", min=0, max=15, help="decimals; else 2 of %, 3 else")
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="as recorded: shares, accuracy instead of error")
    ] = False,
    caption: Annotated[str, typer.Option(help="of LaTeX, before what is always said")] = "",
    label: Annotated[str, typer.Option(help="of LaTeX; a prefix if there are several tables")] = "",
    mixed: Mixed = False,
    paper: Annotated[
        bool, typer.Option("--paper", help="the table of arXiv 2205.09526 beside these figures")
    ] = False,
) -> None:
    """Make tables for a paper; on the terminal, unless a file is asked for."""
    from distillation_bench.bench.analysis.results import read
    from distillation_bench.bench.analysis.tables import formats
    from distillation_bench.bench.analysis.tables.entries import Choice
    from distillation_bench.bench.analysis.tables.paper_tables import make_tables
    from distillation_bench.bench.analysis.tables.published import paper_tables

    if by not in ("dataset", "metric"):
        raise UsageError(f"--by {by}: unknown{nearest(by, ('dataset', 'metric'))}")
    choice = Choice(
        metrics=tuple(metric or ()),
        datasets=tuple(dataset or ()),
        labels=tuple(method or ()),
        by=by,
        transpose=transpose,
        sort=sort,
        digits=digits,
        raw=raw,
    )
    if paper and choice != Choice():
        raise UsageError("--paper: rows, columns and digits are the paper's; leave the rest away")
    check_targets(latex, markdown, csv, macros)
    results = read(runs, mixed)
    tables = paper_tables(results) if paper else make_tables(results, choice)
    # All are made before any is written.
    files: list[tuple[Path, str]] = []
    if latex:
        files.append((latex, formats.as_latex(tables, caption, label)))
    if markdown:
        files.append((markdown, formats.as_markdown(tables)))
    if csv:
        files.append((csv, formats.as_csv(tables, results)))
    if macros:
        files.append((macros, formats.as_macros(tables)))
    for path, text in files:
        write(path, text)
    if not files:
        page(formats.as_text(tables))
