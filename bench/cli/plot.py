"""The command that draws figures: plot."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from distillation_bench.bench.cli.app import Datasets, Labels, Mixed, app, page
from distillation_bench.bench.cli.output_files import check_folder
from distillation_bench.bench.common.errors import UsageError, nearest

if TYPE_CHECKING:
    from distillation_bench.bench.figures import Format

FORMATS: dict[str, Format] = {"png": "png", "pdf": "pdf", "svg": "svg"}


@app.command()
def plot(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="folders of one run or several")
    ] = None,
    figure: Annotated[
        list[str] | None,
        typer.Option("-f", "--figure", help="NAME, else all that there is data for; repeatable"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="else RUN/figures")
    ] = None,
    formats: Annotated[
        str, typer.Option("--format", help="png, pdf, svg, or several with commas")
    ] = "png,pdf,svg",
    dataset: Datasets = None,
    method: Labels = None,
    seed: Annotated[int | None, typer.Option("--seed", help="only this seed")] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", help="NAME[:SCORE][@SET] where figures show one; repeatable"),
    ] = None,
    on: Annotated[
        list[str] | None,
        typer.Option("--on", metavar="SET", help="test, SHIFT/SEVERITY or ood:NAME; repeatable"),
    ] = None,
    mixed: Mixed = False,
    listing: Annotated[bool, typer.Option("--list", help="say what figures there are")] = False,
) -> None:
    """Draw figures for a paper, each as PNG, PDF and SVG."""
    kinds = _kinds(formats)
    from distillation_bench.bench import figures as plots

    if listing:
        width = max(map(len, plots.PLOTS))
        page("\n".join(f"{name:{width}}  {each.summary}" for name, each in plots.PLOTS.items()))
        return
    if not folders:
        raise UsageError("plot: give a run's folder, or --list")
    from distillation_bench.bench.analysis.results import read
    from distillation_bench.bench.common.files import write_atomically
    from distillation_bench.bench.common.text import terminal_safe
    from distillation_bench.bench.figures.rendering import render

    target = _target(out, folders[0])
    results = read(folders, mixed)
    options = plots.Options(
        tuple(dataset or ()), tuple(method or ()), seed, tuple(metric or ()), tuple(on or ())
    )
    ending = kinds[0] if len(kinds) == 1 else f"{{{','.join(kinds)}}}"
    written = 0
    for each in render(results, figure or (), options, kinds):
        for kind, content in each.contents.items():
            write_atomically(target / f"{each.name}.{kind}", content)
        print(terminal_safe(f"{target / each.name}.{ending}: {each.title}"), file=sys.stderr)
        written += 1
    if not written:
        raise UsageError("plot: no figure has data with these options")


def _target(out: Path | None, run: Path) -> Path:
    """The folder to write to, known to be one before anything is drawn."""
    target = out or run / "figures"
    # A run may come from elsewhere: a link in it leads anywhere.
    if out is None and target.is_symlink():
        raise UsageError(f"{target}: a link; give --out")
    check_folder(target)
    return target


def _kinds(text: str) -> list[Format]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in FORMATS:
            raise UsageError(f"--format {name}: unknown{nearest(name, FORMATS)}")
    return [FORMATS[name] for name in dict.fromkeys(names)]
