"""Files that commands are told to write."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distillation_bench.bench.cli import streams
from distillation_bench.bench.cli.app import Terminal
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.files import real_path, write_atomically
from distillation_bench.bench.storage.csv_rows import Writable
from distillation_bench.bench.storage.ownership import owner_of


def stdout() -> Writable:
    """Where data goes that is asked for as `-`: into a pipe or a file as it is, in UTF-8."""
    if sys.stdout.isatty():
        return Terminal()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="strict")
    return _Data()


class _Data:
    """Stdout as it is."""

    def write(self, text: str, /) -> int:
        streams.write(text, flush=False)
        return len(text)


def is_stdout(path: Path) -> bool:
    """Whether a FILE of the command line stands for stdout."""
    return str(path) == "-"


def check_targets(*paths: Path | None) -> None:
    """Whether all of the files that are asked for can be written, before anything is computed.

    At a path is a regular file, a link to one, or nothing; folders are made when it is written.
    A file that a run or a cache lives on is never replaced. `-` is stdout; None is not asked for.

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
    except FileNotFoundError:
        mode = 0
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    place = real_path(path)
    if stat.S_ISDIR(mode):
        raise UsageError(f"{path}: a folder, not a file")
    if mode and not stat.S_ISREG(mode):
        raise UsageError(f"{path}: not a regular file; - is stdout")
    if owner := owner_of(place):
        raise UsageError(f"{path}: a file of {owner}; give another name")
    folder = next(each for each in place.parents if each.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UsageError(f"{path}: nothing can be written in {folder}")
    return place


def check_folder(path: Path, option: str = "") -> None:
    """Whether files can be written into a folder, or it can be made.

    Raises:
        UsageError: something else is there, or it holds the cells of a run.
    """
    place = f"{option} {path}".strip()
    if path.exists() and not path.is_dir():
        raise UsageError(f"{place}: not a folder")
    if owner := owner_of(path):
        raise UsageError(f"{place}: within {owner}; give another folder")


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
        streams.write("")
        return
    with target(path) as place:
        write_atomically(place, text.encode())
