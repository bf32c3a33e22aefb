"""The command `plot`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from distillation_bench.bench.cli.folders import check_folders
from distillation_bench.bench.cli.options import (
    BASELINE,
    Datasets,
    Labels,
    Metrics,
    Mixed,
    OptionalRunFolders,
    Plugins,
)
from distillation_bench.bench.cli.output_files import check_folder
from distillation_bench.bench.cli.terminal import notice, page
from distillation_bench.bench.common.errors import UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from distillation_bench.bench.figures.figure_data import FigureOptions
    from distillation_bench.bench.figures.panels import Drawing, Format


FORMATS: dict[str, Format] = {"png": "png", "pdf": "pdf", "svg": "svg"}


@dataclass(frozen=True)
class FigureFiles:
    """Where figures are written, in which formats and at which size."""

    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FOLDER", help="folder to write to", show_default="RUN/figures"
        ),
    ] = None
    formats: Annotated[
        str, typer.Option("--format", help="png, pdf, svg, or several with commas")
    ] = "png,pdf,svg"
    width: Annotated[
        str,
        typer.Option(
            "--width", help="inches, or neurips, icml, iclr, acl", show_default="3.3, 6.9"
        ),
    ] = ""
    no_note: Annotated[bool, typer.Option("--no-note", help="no note below the panels")] = False
    font: Annotated[
        str, typer.Option("--font", metavar="NAME", help="a font of this machine, or serif")
    ] = ""


@dataclass(frozen=True)
class FigureContent:
    """Which results the figures show."""

    dataset: Datasets = None
    method: Labels = None
    seed: Annotated[int | None, typer.Option("--seed", help="only this seed")] = None
    metric: Metrics = None
    baseline: Annotated[str, typer.Option("--baseline", help=BASELINE, show_default="kd")] = ""
    on: Annotated[
        list[str] | None,
        typer.Option("--on", metavar="SET", help="test, SHIFT/SEVERITY or ood:NAME; repeatable"),
    ] = None

    def options(self, files: FigureFiles) -> FigureOptions:
        """Return these options and those of the files for the figures."""
        from distillation_bench.bench.figures.figure_data import FigureOptions

        return FigureOptions(
            datasets=tuple(self.dataset or ()),
            labels=tuple(self.method or ()),
            seed=self.seed,
            metrics=tuple(self.metric or ()),
            sets=tuple(self.on or ()),
            width=files.width,
            note=not files.no_note,
            font=files.font,
            baseline=self.baseline,
        )


def plot(
    folders: OptionalRunFolders = None,
    *,
    figure: Annotated[
        list[str] | None,
        typer.Option(
            "-f", "--figure", help="name of a figure (--list), else all with data; repeatable"
        ),
    ] = None,
    files: FigureFiles,
    content: FigureContent,
    mixed: Mixed = False,
    plugin: Plugins = None,
    listing: Annotated[bool, typer.Option("--list", help="list the figures")] = False,
) -> None:
    """Draw figures for a paper as PNG, PDF and SVG."""
    from distillation_bench.bench.planning.plugins.loading import load_all

    formats = _formats(files.formats)
    load_all(plugin or ())
    if listing:
        page(_listing())
        return
    if not folders:
        raise UsageError("plot: give a run's folder, or --list")
    from distillation_bench.bench.api.results import load
    from distillation_bench.bench.figures.registry import figure_kinds
    from distillation_bench.bench.figures.rendering import render

    target = _target(files.out, folders[0])
    check_folders(folders, figure_kinds())
    results = load(*folders, mixed=mixed)
    rendered = render(results, figure or (), content.options(files), formats)
    if not _write(rendered, target, formats):
        raise UsageError("plot: no figure has data with these options")


def _listing() -> str:
    from distillation_bench.bench.figures.registry import figure_kinds

    kinds = figure_kinds()
    width = max(map(len, kinds))
    return "\n".join(f"{name:{width}}  {kind.summary}" for name, kind in kinds.items())


def _write(figures: Iterable[Drawing], folder: Path, formats: list[Format]) -> int:
    """Write figures as they come, with a line on stderr for each; return their number."""
    from distillation_bench.bench.common.files import write_atomically

    ending = formats[0] if len(formats) == 1 else f"{{{','.join(formats)}}}"
    written = 0
    for figure in figures:
        for name, content in figure.contents.items():
            write_atomically(folder / f"{figure.name}.{name}", content)
        notice(f"{folder / figure.name}.{ending}: {figure.title}")
        written += 1
    return written


def _target(out: Path | None, run: Path) -> Path:
    """Return the folder to write to; raise UsageError if nothing can be written there."""
    target = out or run / "figures"
    # A run may come from elsewhere: a link in it may lead anywhere.
    if out is None and target.is_symlink():
        raise UsageError(f"{target}: a link; give --out")
    check_folder(target)
    return target


def _formats(text: str) -> list[Format]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in FORMATS:
            raise UsageError(f"--format {name}: unknown{nearest(name, FORMATS)}")
    return [FORMATS[name] for name in dict.fromkeys(names)]
