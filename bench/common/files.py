"""Files that are there whole or not at all, and what may be believed of a folder from a stranger.

A folder may be anywhere and may itself be a link. Below it no link is followed, neither to read nor
to write: what is in a folder is of it.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from io import BufferedReader
from itertools import accumulate
from pathlib import Path

LARGEST = 2**30
"""Bytes that are read at once; no table of a run has nearly as many."""


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A file to write beside the target; flushed to disk and renamed at the end of the block.

    On any failure the target stays as it was.
    """
    with _stand_in(path) as part:
        yield part
        _flush(part)


@contextmanager
def _stand_in(path: Path) -> Iterator[Path]:
    """A file beside the target that is renamed at the end of the block, or removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.parent / f".{secrets.token_hex(8)}.part"
    try:
        # Who may read and write it is for the umask to say; `tempfile` makes files of one user.
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666))
        yield part
        part.replace(path)
    except BaseException as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        # The user knows the target, not what stands in for it.
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(part)):
            error.filename = str(path)
        raise


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file by this content, whole or not at all."""
    with atomic_file(path) as part:
        part.write_bytes(content)


@contextmanager
def new_folder(path: Path) -> Iterator[None]:
    """A folder that is made if it isn't there; after a failure, what was made and is empty goes."""
    made = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for each in made:
            with suppress(OSError):
                each.rmdir()
        raise


def write_all_atomically(contents: Mapping[Path, bytes]) -> None:
    """Replace files by these contents, each whole or not at all, in the order given.

    They are flushed to disk at the same time, which takes as long as one alone.
    """
    from concurrent.futures import ThreadPoolExecutor

    with ExitStack() as renames, ThreadPoolExecutor(len(contents)) as threads:
        # The last to be entered is the first to be renamed.
        parts = {path: renames.enter_context(_stand_in(path)) for path in reversed(list(contents))}
        for path, content in contents.items():
            parts[path].write_bytes(content)
        for _ in threads.map(_flush, parts.values()):
            pass


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def real_path(path: Path) -> Path:
    """Where a path leads, links followed, whether anything is there or not.

    As `Path.resolve`, which raises a RuntimeError where links form a circle.
    """
    return Path(os.path.realpath(path))


@contextmanager
def open_regular(path: Path, folder: Path) -> Iterator[BufferedReader]:
    """Open a regular file in a folder or below it to read; nothing else is even opened.

    Raises:
        OSError: there is none: it or a folder on the way is a link, it is a pipe, a device …
    """
    mode = 0
    for each in _steps(path, folder):
        mode = os.lstat(each).st_mode
        if stat.S_ISLNK(mode):
            raise _refused(each, errno.ELOOP, "a link, which is not followed")
    if not stat.S_ISREG(mode):
        raise _refused(path, errno.EINVAL, "not a regular file")
    # Should another have come into its place just now: a pipe would wait for its writer.
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        yield file


def read_regular(path: Path, folder: Path) -> bytes:
    """The content of a regular file in a folder or below it.

    Raises:
        OSError: as `open_regular`, or it is too large for a file of a run.
    """
    with open_regular(path, folder) as file:
        if os.fstat(file.fileno()).st_size > LARGEST:
            raise _refused(path, errno.EFBIG, "too large")
        return file.read()


def make_folder(path: Path, folder: Path) -> None:
    """Make a folder below another; what stands in its place and is none goes, as a link does."""
    folder.mkdir(parents=True, exist_ok=True)
    for each in map(Path, _steps(path, folder)):
        if each.is_symlink() or (each.exists() and not each.is_dir()):
            each.unlink()
        each.mkdir(exist_ok=True)


def _steps(path: Path, folder: Path) -> list[str]:
    """The folders on the way from the folder to the path, and the path."""
    above, parts = folder.parts, path.parts
    names = parts[len(above) :]
    if not names or ".." in names or parts[: len(above)] != above:
        raise _refused(path, errno.EINVAL, f"not in {folder}")
    return list(accumulate(names, os.path.join, initial=str(folder)))[1:]


def _refused(path: Path | str, code: int, reason: str) -> OSError:
    return OSError(code, reason, str(path))
