"""The command `table`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from distillation_bench.bench.cli.folders import check_folders
from distillation_bench.bench.cli.options import Metrics, Mixed, OutputFile, RunFolders
from distillation_bench.bench.cli.output_files import check_targets, write_outputs
from distillation_bench.bench.cli.terminal import page
from distillation_bench.bench.common.errors import UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from distillation_bench.bench.analysis.results import Results
    from distillation_bench.bench.analysis.tables.table import Table

GROUPINGS = ("dataset", "metric")


@dataclass(frozen=True)
class TableFiles:
    """The files to write; without any the tables are printed."""

    latex: OutputFile = None
    markdown: OutputFile = None
    csv: OutputFile = None
    macros: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=r"a LaTeX \newcommand for each value; - is stdout"),
    ] = None
    note: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=r"the note on the tables as the LaTeX macro \tablenote, which --latex then leaves "
            "out; - is stdout",
        ),
    ] = None


@dataclass(frozen=True)
class TableContent:
    """What the tables show, and how."""

    metric: Metrics = None
    dataset: Annotated[
        list[str] | None,
        typer.Option("-d", "--dataset", help="name of a dataset, in this order; repeatable"),
    ] = None
    method: Annotated[
        list[str] | None,
        typer.Option(
            "-m",
            "--method",
            help="label, or method with all its variants, in this order; repeatable",
        ),
    ] = None
    by: Annotated[
        str, typer.Option("--by", help="a table per dataset (metrics as columns) or per metric")
    ] = "dataset"
    transpose: Annotated[bool, typer.Option("--transpose", help="methods as columns")] = False
    sort: Annotated[
        str, typer.Option("--sort", metavar="METRIC", help="sort methods by a metric, best first")
    ] = ""
    digits: Annotated[
        int | None,
        typer.Option(
            "--digits", min=0, max=15, help="decimals; by default 2 of %, otherwise 3 or 4"
        ),
    ] = None
    raw: Annotated[
        bool, typer.Option("--raw", help="values as recorded: fractions, accuracy instead of error")
    ] = False


def table(
    runs: RunFolders,
    files: TableFiles,
    content: TableContent,
    caption: Annotated[str, typer.Option(help="LaTeX caption, before the standard text")] = "",
    label: Annotated[
        str, typer.Option(help="LaTeX label; a prefix if there are several tables")
    ] = "",
    mixed: Mixed = False,
    paper: Annotated[
        bool, typer.Option("--paper", help="the table of arXiv 2205.09526 beside these values")
    ] = False,
) -> None:
    """Make tables for a paper: on the terminal, or in files."""
    from distillation_bench.bench.analysis.results import load
    from distillation_bench.bench.analysis.tables.paper_tables import make_tables
    from distillation_bench.bench.analysis.tables.published_values import published_tables
    from distillation_bench.bench.analysis.tables.table import tables_text

    if content.by not in GROUPINGS:
        raise UsageError(f"--by {content.by}: unknown{nearest(content.by, GROUPINGS)}")
    if paper and content != TableContent():
        raise UsageError("--paper: rows, columns and digits are the paper's; omit other options")
    check_targets(files.latex, files.markdown, files.csv, files.macros, files.note)
    check_folders(runs)
    results = load(*runs, mixed=mixed)
    if paper:
        tables = published_tables(results)
    else:
        tables = make_tables(
            results,
            content.metric or (),
            content.dataset or (),
            content.method or (),
            by=content.by,
            transpose=content.transpose,
            sort=content.sort,
            digits=content.digits,
            raw=content.raw,
        )
    texts = _texts_of_files(files, tables, results, caption, label)
    write_outputs(texts)
    if not texts:
        page(tables_text(tables))


def _texts_of_files(
    files: TableFiles, tables: Sequence[Table], results: Results, caption: str, label: str
) -> list[tuple[Path, str]]:
    """Return the path and the text of each file to write."""
    from distillation_bench.bench.analysis.tables.table import tables_csv, tables_markdown
    from distillation_bench.bench.analysis.tables.table_latex import (
        latex_macros,
        note_macro,
        tables_latex,
    )

    writers: tuple[tuple[Path | None, Callable[[], str]], ...] = (
        (files.latex, lambda: tables_latex(tables, caption, label, with_note=not files.note)),
        (files.markdown, lambda: tables_markdown(tables)),
        (files.csv, lambda: tables_csv(tables, results.methods)),
        (files.macros, lambda: latex_macros(tables)),
        (files.note, lambda: note_macro(tables)),
    )
    return [(path, write()) for path, write in writers if path]
