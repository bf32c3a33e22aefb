"""What lets a process run another job: the one before left nothing behind, its memory is given
back, and the peak of memory is counted anew. Only Linux tells enough for that."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import platform
import resource
from pathlib import Path

from distillation_bench.bench.planning.plugins import loading as plugins

_PROCESS = Path("/proc/self")
_PEAK, _RESET = "VmHWM:", "5"


def nothing_left() -> bool:
    """Whether this process has no plugin, other thread or child, and counts its peak anew.

    Where the system does not tell, it is said to have.
    """
    if plugins.in_use():
        return False
    with contextlib.suppress(OSError):
        threads = list((_PROCESS / "task").iterdir())
        return len(threads) == 1 and not (threads[0] / "children").read_text() and restart_peak()
    return False


def give_back() -> None:
    """Give free memory back to the system, which would else count as the next job's."""
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


def restart_peak() -> bool:
    """Have `peak_memory` count from now on; returns whether the system can."""
    with contextlib.suppress(OSError):
        (_PROCESS / "clear_refs").write_text(_RESET)
        return True
    return False


def peak_memory() -> int:
    """The most bytes of memory that this process has had, on Linux since `restart_peak`."""
    with contextlib.suppress(OSError):
        for line in (_PROCESS / "status").read_text(errors="replace").splitlines():
            if line.startswith(_PEAK):
                return int(line.split()[1]) * 2**10
    # Kilobytes on Linux, bytes on macOS.
    unit = 2**10 if platform.system() == "Linux" else 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
