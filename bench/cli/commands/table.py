"""The command `table`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from distillation_bench.bench.cli.options import Metrics, Mixed, OutputFile, RunFolders
from distillation_bench.bench.cli.output_files import check_targets, write_outputs
from distillation_bench.bench.cli.terminal import page
from distillation_bench.bench.common.errors import UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from distillation_bench.bench.analysis.old_results import Results
    from distillation_bench.bench.analysis.tables.table_model import PaperTable, TableOptions

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
        typer.Option("--digits", min=0, max=15, help="decimals; by default 2 of %, otherwise 3"),
    ] = None
    raw: Annotated[
        bool, typer.Option("--raw", help="values as recorded: fractions, accuracy instead of error")
    ] = False

    def options(self) -> TableOptions:
        """Return these options for the analysis; raise UsageError for an unknown `--by`."""
        from distillation_bench.bench.analysis.tables.table_model import TableOptions

        if self.by not in GROUPINGS:
            raise UsageError(f"--by {self.by}: unknown{nearest(self.by, GROUPINGS)}")
        return TableOptions(
            metrics=tuple(self.metric or ()),
            datasets=tuple(self.dataset or ()),
            labels=tuple(self.method or ()),
            by=self.by,
            transpose=self.transpose,
            sort=self.sort,
            digits=self.digits,
            raw=self.raw,
        )


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
    from distillation_bench.bench.analysis.old_results import read
    from distillation_bench.bench.analysis.tables.published_values import published_tables
    from distillation_bench.bench.analysis.tables.table_builder import make_tables
    from distillation_bench.bench.analysis.tables.table_text import table_text

    options = content.options()
    if paper and content != TableContent():
        raise UsageError("--paper: rows, columns and digits are the paper's; omit other options")
    check_targets(files.latex, files.markdown, files.csv, files.macros)
    results = read(runs, mixed)
    tables = published_tables(results) if paper else make_tables(results, options)
    texts = _texts_of_files(files, tables, results, caption, label)
    write_outputs(texts)
    if not texts:
        page(table_text(tables))


def _texts_of_files(
    files: TableFiles, tables: Sequence[PaperTable], results: Results, caption: str, label: str
) -> list[tuple[Path, str]]:
    """Return the path and the text of each file to write."""
    from distillation_bench.bench.analysis.tables.table_csv import table_csv
    from distillation_bench.bench.analysis.tables.table_latex import latex_macros, table_latex
    from distillation_bench.bench.analysis.tables.table_text import table_markdown

    texts: list[tuple[Path, str]] = []
    if files.latex:
        texts.append((files.latex, table_latex(tables, caption, label)))
    if files.markdown:
        texts.append((files.markdown, table_markdown(tables)))
    if files.csv:
        texts.append((files.csv, table_csv(tables, results)))
    if files.macros:
        texts.append((files.macros, latex_macros(tables)))
    return texts
