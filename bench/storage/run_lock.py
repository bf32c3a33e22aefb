"""The lock of a run's folder: one process writes at a time, and others can ask which.

The system holds the lock, so it ends with its process. Who took it is noted in a file beside it.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from filelock import Timeout

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.files import new_folder, read_regular, write_atomically
from distillation_bench.bench.common.locks import acquire
from distillation_bench.bench.common.text import terminal_safe

LOCK, DRIVER = ".lock", ".driver"
_PATIENCE = 0.5
"""Seconds; a process that only asks who holds the lock takes it for a moment."""


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is made if it is not there.

    A folder that was made for a run that did not begin is removed again.

    Raises:
        UsageError: another process holds the lock, or the folder cannot be written.
    """
    with contextlib.ExitStack() as made:
        try:
            made.enter_context(new_folder(folder))
        except OSError as error:
            raise UsageError(f"{folder}: can't be written ({error.strerror})") from None
        with _lock_of(folder):
            yield


@contextlib.contextmanager
def _lock_of(folder: Path) -> Iterator[None]:
    note, path = folder / DRIVER, folder / LOCK
    is_new = not path.exists()
    try:
        if path.is_symlink():
            raise UsageError(f"{path}: a link; remove it")
        release = acquire(path, timeout=_PATIENCE)
    except Timeout:
        raise UsageError(f"{folder}: in use by {_noted_driver(folder)}") from None
    except OSError as error:
        raise UsageError(f"{folder}: can't be written ({error.strerror})") from None
    try:
        # Atomically, so that a link which someone left in its place is not followed.
        write_atomically(note, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        yield
    finally:
        with contextlib.suppress(OSError):
            note.unlink()
            if is_new and not os.path.lexists(folder / "run.json"):
                path.unlink()
        release()


def driver_of(folder: Path) -> str:
    """Return the process that holds a folder's lock, in words; empty if none does.

    Nothing is written. What a dead process left behind does not count.
    """
    path = folder / LOCK
    try:
        if not path.is_file() or path.is_symlink():
            return ""
        acquire(path, timeout=0)()
        return ""
    except Timeout:
        return _noted_driver(folder)
    except OSError:
        return ""


def _noted_driver(folder: Path) -> str:
    try:
        return terminal_safe(read_regular(folder / DRIVER, folder).decode().strip())
    except (OSError, ValueError):
        return "another process"
