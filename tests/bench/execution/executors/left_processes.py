"""Jobs that leave processes behind, and the wait for processes to end."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest


def leave_a_child(how: str, note: str) -> str:
    """Run by a worker: start a child that inherits all open files, then return."""
    pid = os.fork()
    if not pid:
        time.sleep(600)
    Path(note).write_text(str(pid))
    if how == "killed":
        signal.raise_signal(signal.SIGKILL)
    if how == "exits":
        os._exit(0)
    return "answer"


def wait_until_gone(pid: int) -> None:
    """Wait up to ten seconds for the end of a process."""
    for _ in range(500):
        if not _alive(pid):
            return
        time.sleep(0.02)
    pytest.fail("a process was left")


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
