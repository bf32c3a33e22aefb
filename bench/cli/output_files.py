"""The files that a user asks a command to write; `-` is stdout."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from distillation_bench.bench.cli import streams
from distillation_bench.bench.cli.terminal import Terminal
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.files import real_path, write_atomically
from distillation_bench.bench.storage.formats.csv_files import Writable
from distillation_bench.bench.storage.ownership import owner_of


def is_stdout(path: Path) -> bool:
    """Return whether a path of the command line stands for stdout."""
    return str(path) == "-"


def stdout() -> Writable:
    """Return stdout for data: unchanged and in UTF-8 if it is a pipe or a file."""
    if sys.stdout.isatty():
        return Terminal()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="strict")
    return _PlainStdout()


class _PlainStdout:
    """Stdout as it is."""

    def write(self, text: str, /) -> int:
        streams.write(text, flush=False)
        return len(text)


def check_targets(*paths: Path | None) -> None:
    """Check that all files can be written, before anything is computed.

    A target is a regular file, a link to one, or a new file, whose folders are made when it is
    written. No file of a run or a cache is replaced. None stands for an option that is not given.

    Raises:
        UsageError: a file can't be written, or is given twice.
    """
    given = [path for path in paths if path is not None]
    targets = [path if is_stdout(path) else _checked(path) for path in given]
    for number, path in enumerate(targets):
        if path in targets[:number]:
            raise UsageError(f"{given[number]}: is given twice")


def _checked(path: Path) -> Path:
    """Return the path of the file itself, with links followed, or raise UsageError."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = 0
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    file = real_path(path)
    if stat.S_ISDIR(mode):
        raise UsageError(f"{path}: a folder, not a file")
    if mode and not stat.S_ISREG(mode):
        raise UsageError(f"{path}: not a regular file; - is stdout")
    if owner := owner_of(file):
        raise UsageError(f"{path}: a file of {owner}; give another name")
    folder = next(parent for parent in file.parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UsageError(f"{path}: nothing can be written in {folder}")
    return file


def check_folder(path: Path, option: str = "") -> None:
    """Check that files can be written into a folder, which may be new.

    Raises:
        UsageError: it is not a folder, or it is within a run or a cache.
    """
    name = f"{option} {path}".strip()
    if path.exists() and not path.is_dir():
        raise UsageError(f"{name}: not a folder")
    if owner := owner_of(path):
        raise UsageError(f"{name}: within {owner}; give another folder")


@contextmanager
def target(path: Path) -> Iterator[Path]:
    """Give the path to write to: a link stays, and the file that it leads to is written.

    Raises:
        UsageError: the file can't be written.
    """
    try:
        yield _checked(path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None


def write_output(path: Path, text: str) -> None:
    """Write a whole file or nothing; `-` is stdout.

    Raises:
        UsageError: the file can't be written.
    """
    if is_stdout(path):
        stdout().write(text)
        streams.write("")
        return
    with target(path) as file:
        write_atomically(file, text.encode())


def write_outputs(files: Sequence[tuple[Path, str]]) -> None:
    """Write several files, whose texts were all made before the first is written."""
    for path, text in files:
        write_output(path, text)
