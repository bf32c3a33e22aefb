"""The memory of this process: its peak, and giving unused memory back to the system."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import platform
import resource
from pathlib import Path

_PROCESS = Path("/proc/self")
_PEAK = "VmHWM:"
_RESET_PEAK = "5"


def restart_peak() -> bool:
    """Make `peak_memory` count from now on. Return whether the system supports it."""
    with contextlib.suppress(OSError):
        (_PROCESS / "clear_refs").write_text(_RESET_PEAK)
        return True
    return False


def peak_memory() -> int:
    """Return the peak memory of this process in bytes; on Linux since `restart_peak`."""
    with contextlib.suppress(OSError):
        for line in (_PROCESS / "status").read_text(errors="replace").splitlines():
            if line.startswith(_PEAK):
                return int(line.split()[1]) * 2**10
    # Kilobytes on Linux, bytes on macOS.
    unit = 2**10 if platform.system() == "Linux" else 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def release_memory() -> None:
    """Give free memory back to the system, where it would count for the next job."""
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
