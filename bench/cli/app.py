"""The program that commands are registered with, and what they share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Compares methods that distil a deep ensemble into one network.",
)

RunFolder = Annotated[Path, typer.Argument(help="a run's folder")]
RunFolders = Annotated[list[Path], typer.Argument(help="folders of one run or several")]


def page(text: str) -> None:
    """Print what a command has to say."""
    sys.stdout.write(text.rstrip() + "\n")
    sys.stdout.flush()
