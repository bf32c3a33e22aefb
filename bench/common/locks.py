"""Locks of files, which everyone who can write to their folder can take."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

_POLL_SECONDS = 0.05
"""The time between two attempts."""
_GROUP_AND_OTHERS_WRITE = 0o022


def acquire(path: Path, timeout: float = -1) -> Callable[[], None]:
    """Take the lock of a file, and return a function that releases it.

    The end of the process releases it too.

    Args:
        path: the file, which is made if it does not exist.
        timeout: seconds to wait while another process holds it; negative: no limit.

    Raises:
        filelock.Timeout: another process still holds it.
        OSError: the file cannot be made or opened.
    """
    _make(path)
    try:
        lock = FileLock(path, timeout=timeout)
        lock.acquire()
    except PermissionError:
        return _acquire_read_only(path, timeout)
    return lock.release


def _make(path: Path) -> None:
    """Make the file accessible to all who can write to its folder, whatever the umask."""
    shared = path.parent.stat().st_mode & _GROUP_AND_OTHERS_WRITE
    with contextlib.suppress(FileExistsError, PermissionError):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
        try:
            os.fchmod(handle, os.fstat(handle).st_mode & 0o777 | shared | shared << 1)
        finally:
            os.close(handle)


def _acquire_read_only(path: Path, timeout: float) -> Callable[[], None]:
    """Take the lock of a file that this user may read, but not write."""
    start = time.monotonic()
    while True:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        if _is_taken(handle):
            return lambda: os.close(handle)
        os.close(handle)
        if 0 <= timeout <= time.monotonic() - start:
            raise Timeout(str(path))
        time.sleep(_POLL_SECONDS)
        _make(path)


def _is_taken(handle: int) -> bool:
    """Take the lock of an open file; return whether that succeeded."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    # Others cannot see the lock of a file that was removed meanwhile.
    return os.fstat(handle).st_nlink > 0
