"""The program that commands are registered with, and what they share."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from distillation_bench.bench.cli import streams
from distillation_bench.bench.common.text import terminal_safe

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
        streams.write("\n".join(map(terminal_safe, text.split("\n"))))
        return len(text)


def page(text: str) -> None:
    """Print what a command has to say; on a terminal with colours, grey is grey."""
    shown = "\n".join(map(terminal_safe, text.rstrip().split("\n")))
    streams.write(f"{_greyed(shown) if _has_colours() else shown}\n")


def _greyed(text: str) -> str:
    """Text of tables with those figures in grey in which the teacher is worse than chance."""
    from distillation_bench.bench.analysis.below_chance import SIGN

    figure = rf"(?:-?\d\S*|nan|-?inf)(?: ± \S+)?(?: \(\d+\))? {SIGN}(?=\s|$)"
    return re.sub(figure, "\x1b[90m\\g<0>\x1b[39m", text)


def _has_colours() -> bool:
    """Of the terminal; who sets NO_COLOR wants none."""
    return (
        sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")
    )
