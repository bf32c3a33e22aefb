"""The program that commands are registered with, and what they share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli import streams
from bench.printable import printable

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Compares methods that distil a deep ensemble into one network.",
)

RunFolder = Annotated[Path, typer.Argument(help="a run's folder")]
RunFolders = Annotated[list[Path], typer.Argument(help="folders of one run or several")]
Datasets = Annotated[list[str] | None, typer.Option("-d", "--dataset", help="repeatable")]
Labels = Annotated[
    list[str] | None,
    typer.Option(
        "-m", "--method", "--label", help="label, or method with all variants; repeatable"
    ),
]
Mixed = Annotated[
    bool, typer.Option("--mixed", help="take rows of other protocols or code too, marked")
]


class Terminal:
    """Stdout, as far as what a run holds can't steer it."""

    def write(self, text: str, /) -> int:
        """Line by line."""
        streams.write("\n".join(map(printable, text.split("\n"))))
        return len(text)


def page(text: str) -> None:
    """Print what a command has to say."""
    Terminal().write(text.rstrip() + "\n")
