"""Huge pages: to fork a process takes as long as its memory has pages, and to end the child again.

A server with torch has 40,000 pages of 4 KiB; in pages of 2 MiB it is forked in a quarter of the
time. Linux does it from 6.1 on; elsewhere nothing happens.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from pathlib import Path

HUGE = 2 * 2**20
MADV_COLLAPSE = 25


def collapse() -> None:
    """Move what this process has in memory, but for files, into huge pages where they fit."""
    with contextlib.suppress(OSError):
        maps = Path("/proc/self/maps").read_text()
        madvise = ctypes.CDLL(None).madvise
        for start, end in whole_huge_pages(maps):
            madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), MADV_COLLAPSE)


def whole_huge_pages(maps: str) -> Iterator[tuple[int, int]]:
    """Where huge pages fit into writable memory of no file, of the lines of /proc/PID/maps."""
    for line in maps.splitlines():
        addresses, permissions, _, _, _, *name = line.split(maxsplit=5)
        if permissions.startswith("rw") and name in ([], ["[heap]"]):
            first, last = (int(each, 16) for each in addresses.split("-"))
            start, end = -(-first // HUGE) * HUGE, last // HUGE * HUGE
            if start < end:
                yield start, end
