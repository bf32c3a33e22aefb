"""The program that commands are registered with, and what they share."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from bench.errors import UsageError
from bench.printable import printable
from bench.rows import Writable

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
Mixed = Annotated[bool, typer.Option("--mixed", help="take rows of other protocols too, marked")]


class Terminal:
    """Stdout, as far as what a run holds can't steer it."""

    def write(self, text: str, /) -> int:
        """Line by line."""
        return sys.stdout.write("\n".join(map(printable, text.split("\n"))))


def page(text: str) -> None:
    """Print what a command has to say."""
    Terminal().write(text.rstrip() + "\n")
    sys.stdout.flush()


def stdout() -> Writable:
    """Where data goes that is asked for as `-`: into a pipe or a file as it is."""
    return Terminal() if sys.stdout.isatty() else sys.stdout


def is_stdout(path: Path) -> bool:
    """Whether a FILE of the command line stands for stdout."""
    return str(path) == "-"


def check_targets(*paths: Path | None) -> None:
    """Whether all of the files that are asked for can be written, before anything is computed.

    At a path is a regular file, a link to one, or nothing; folders are made when it is written.
    `-` is stdout; None is not asked for.

    Raises:
        UsageError: something else is there, its folder can't be written to, or it is given twice.
    """
    asked = [path for path in paths if path is not None]
    places = [path if is_stdout(path) else _checked(path) for path in asked]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise UsageError(f"{asked[number]}: is asked for twice")


def _checked(path: Path) -> Path:
    """Where a file is or will be: links are followed."""
    try:
        mode = path.stat().st_mode
        place = path.resolve()
    except FileNotFoundError:
        mode, place = 0, path.resolve()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    if stat.S_ISDIR(mode):
        raise UsageError(f"{path}: a folder, not a file")
    if mode and not stat.S_ISREG(mode):
        raise UsageError(f"{path}: not a regular file; - is stdout")
    folder = next(each for each in place.parents if each.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UsageError(f"{path}: nothing can be written in {folder}")
    return place


@contextmanager
def target(path: Path) -> Iterator[Path]:
    """Where to write a file that is asked for: a link stays, and what it leads to is written.

    Raises:
        UsageError: it can't be written after all.
    """
    try:
        yield _checked(path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None


def write(path: Path, text: str) -> None:
    """Write a file that is asked for, whole or not at all; `-` is stdout.

    Raises:
        UsageError: it can't be written.
    """
    if is_stdout(path):
        stdout().write(text)
        sys.stdout.flush()
        return
    from bench.files import write_atomically

    with target(path) as place:
        write_atomically(place, text.encode())
