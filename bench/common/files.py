"""Files that are written whole or not at all, and safe access to folders from other people.

A folder may be anywhere, and may itself be a link. Below it no link is followed, neither to read
nor to write, so that access to a folder never leaves it.
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

MAX_BYTES = 2**30
"""The largest file that is read at once; tables of runs are far smaller."""


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a file beside the target; at the end of the block it is flushed and renamed.

    After any failure the target is as it was.
    """
    with _temporary_file(path) as part:
        yield part
        _flush(part)


@contextmanager
def _temporary_file(path: Path) -> Iterator[Path]:
    """Yield a new file beside the target; the end of the block renames it, a failure removes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.parent / f".{secrets.token_hex(8)}.part"
    try:
        # Permissions follow the umask; those of `tempfile` are for one user.
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666))
        yield part
        part.replace(path)
    except BaseException as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        # The user knows the target, not the temporary file.
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(part)):
            error.filename = str(path)
        raise


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file by this content, whole or not at all."""
    with atomic_file(path) as part:
        part.write_bytes(content)


@contextmanager
def new_folder(path: Path) -> Iterator[None]:
    """Make a folder; after a failure in the block, remove the new folders that are empty."""
    created = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for folder in created:
            with suppress(OSError):
                folder.rmdir()
        raise


def write_all_atomically(contents: Mapping[Path, bytes]) -> None:
    """Replace files by these contents, each whole or not at all, in the given order.

    They are flushed to disk at the same time, which takes as long as flushing one.
    """
    from concurrent.futures import ThreadPoolExecutor

    with ExitStack() as renames, ThreadPoolExecutor(len(contents)) as threads:
        # The last file entered is the first renamed.
        paths = reversed(list(contents))
        parts = {path: renames.enter_context(_temporary_file(path)) for path in paths}
        for path, content in contents.items():
            parts[path].write_bytes(content)
        for _ in threads.map(_flush, parts.values()):
            pass


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def real_path(path: Path) -> Path:
    """Return a path with links followed, whether it exists or not.

    `Path.resolve` does the same, but raises RuntimeError if links form a circle.
    """
    return Path(os.path.realpath(path))


@contextmanager
def open_regular(path: Path, folder: Path) -> Iterator[BufferedReader]:
    """Open a regular file of a folder, at any depth, for reading.

    Raises:
        OSError: there is no such file, it is a pipe or a device, or its path contains a link.
    """
    mode = 0
    for step in _steps(path, folder):
        mode = os.lstat(step).st_mode
        if stat.S_ISLNK(mode):
            raise _refused(step, errno.ELOOP, "a link, which is not followed")
    if not stat.S_ISREG(mode):
        raise _refused(path, errno.EINVAL, "not a regular file")
    # It may have been replaced since by a pipe, which would wait for its writer.
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        yield file


def read_regular(path: Path, folder: Path) -> bytes:
    """Return the content of a regular file of a folder, at any depth.

    Raises:
        OSError: as `open_regular`, or the file is larger than `MAX_BYTES`.
    """
    with open_regular(path, folder) as file:
        if os.fstat(file.fileno()).st_size > MAX_BYTES:
            raise _refused(path, errno.EFBIG, "too large")
        return file.read()


def make_folder(path: Path, folder: Path) -> None:
    """Make a folder below another; replace links and files on the way by folders."""
    folder.mkdir(parents=True, exist_ok=True)
    for step in map(Path, _steps(path, folder)):
        if step.is_symlink() or (step.exists() and not step.is_dir()):
            step.unlink()
        step.mkdir(exist_ok=True)


def _steps(path: Path, folder: Path) -> list[str]:
    """Return the folders on the way from the folder to the path, and the path."""
    depth = len(folder.parts)
    names = path.parts[depth:]
    if not names or ".." in names or path.parts[:depth] != folder.parts:
        raise _refused(path, errno.EINVAL, f"not in {folder}")
    return list(accumulate(names, os.path.join, initial=str(folder)))[1:]


def _refused(path: Path | str, code: int, reason: str) -> OSError:
    return OSError(code, reason, str(path))
