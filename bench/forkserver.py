"""What workers are forked from: a process that has torch loaded. Imports next to nothing itself."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Iterator
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext

from bench.places import ROOT

_ENVIRONMENT = threading.Lock()
"""Held while it is changed: a cluster's worker has a thread a task."""


def needs_processes(jobs: int, timeout: float | None) -> bool:
    """Whether tasks run outside the driver's process; a timeout is a kill."""
    return jobs > 1 or timeout is not None


def start_server() -> ForkServerContext:
    """Start it; early, as it loads torch while the plan is made."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bench.preloaded"])
    with importable_everywhere():
        forkserver.ensure_running()
    return context


@contextlib.contextmanager
def importable_everywhere() -> Iterator[None]:
    """Let the fork server find this repository: it begins without this process's sys.path."""
    with _ENVIRONMENT:
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *([before] if before else [])])
        try:
            yield
        finally:
            if before is None:
                del os.environ["PYTHONPATH"]
            else:
                os.environ["PYTHONPATH"] = before
