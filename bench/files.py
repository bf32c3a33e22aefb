"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A file to write beside the target; flushed to disk and renamed at the end of the block.

    On any failure the target stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.chmod(0o644)
        part.replace(path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            # The user knows the target, not what stands in for it.
            error.filename = str(path)
        raise


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file by this content, whole or not at all."""
    with atomic_file(path) as part:
        part.write_bytes(content)
