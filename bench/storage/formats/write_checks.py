"""Content is read back before it is written, so that no command writes what another can't read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.text import truncated


class InvalidContent(UsageError):
    """What was to be written could not be read again; nothing was written.

    Attributes:
        reason: why not.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: not written, since no command could read it ({reason})")
        self.reason = reason


@contextlib.contextmanager
def write_check(path: Path) -> Iterator[None]:
    """Turn any error in the block, which makes and reads back content, into InvalidContent."""
    try:
        yield
    except RecursionError:
        raise InvalidContent(path, "nested too deeply") from None
    except Exception as error:
        reason = truncated(str(error) or type(error).__name__, 300)
        raise InvalidContent(path, reason) from None
