"""Locks of files, which whoever can write the folder can take."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

GLANCE = 0.05
"""Seconds between two attempts."""
_WRITABLE = 0o022


def acquire(path: Path, timeout: float = -1) -> Callable[[], None]:
    """Take a file's lock, which ends with the process at the latest; returns what releases it.

    Args:
        path: of the file, which is made if it is not there.
        timeout: seconds to wait for who holds it; negative: for ever.

    Raises:
        filelock.Timeout: somebody holds it.
        OSError: it can't be taken here at all.
    """
    _make(path)
    try:
        lock = FileLock(path, timeout=timeout)
        lock.acquire()
    except PermissionError:
        return _acquire_read_only(path, timeout)
    return lock.release


def _make(path: Path) -> None:
    """Make the file for all who can write the folder, whatever this user's umask."""
    shared = path.parent.stat().st_mode & _WRITABLE
    with contextlib.suppress(FileExistsError, PermissionError):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
        try:
            os.fchmod(handle, os.fstat(handle).st_mode & 0o777 | shared | shared << 1)
        finally:
            os.close(handle)


def _acquire_read_only(path: Path, timeout: float) -> Callable[[], None]:
    """The same lock on another user's file, which need not be writable for it."""
    start = time.monotonic()
    while True:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        if _is_taken(handle):
            return lambda: os.close(handle)
        os.close(handle)
        if 0 <= timeout <= time.monotonic() - start:
            raise Timeout(str(path))
        time.sleep(GLANCE)
        _make(path)


def _is_taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    # One that was removed meanwhile is nobody else's lock.
    return os.fstat(handle).st_nlink > 0
