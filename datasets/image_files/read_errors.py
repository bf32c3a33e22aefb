"""Failures of reading and downloading files become `BadData` with a message of one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distillation_bench.datasets.base import BadData


@contextmanager
def reading(file: Path, expected: str) -> Iterator[None]:
    """Turn any exception within into BadData: the file is not what is expected.

    Args:
        file: named in the message.
        expected: what the file should be, such as "a whole IDX file of images".
    """
    try:
        yield
    except Exception as error:
        raise BadData(f"{file}: not {expected} ({one_line(error)})") from error


@contextmanager
def fetching(name: str, root: Path) -> Iterator[None]:
    """Turn any exception within into BadData: the dataset could not be downloaded into `root`."""
    try:
        yield
    except Exception as error:
        raise BadData(f"{name} could not be fetched into {root}: {one_line(error)}") from error


def one_line(error: Exception) -> str:
    """The message of an exception without line breaks; the name of its class if it is empty."""
    return " ".join(str(error).split()) or type(error).__name__
