"""A Dask cluster: a scheduler and workers as processes, each in its own folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.end_to_end.bench_command import ROOT

WORKER = ("-m", "distributed.cli.dask_worker")
SCHEDULER = ("-m", "distributed.cli.dask_scheduler")


@dataclass
class Cluster:
    """A scheduler, and workers that are started one by one."""

    folder: Path
    port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Address of the scheduler."""
        return f"tcp://127.0.0.1:{self.port}"

    @property
    def options(self) -> tuple[str, ...]:
        """Options for `run`."""
        return "--executor", "dask", "--scheduler", self.address

    def worker(
        self, *options: str, hidden: Path | None = None, **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start a worker; `hidden` is a folder that it cannot see (needs root and unshare)."""
        worker_folder = self.folder / f"worker-{len(self.processes)}"
        worker_folder.mkdir()
        command = [sys.executable, *WORKER, self.address, "--nthreads", "1", "--no-dashboard"]
        command += ["--local-directory", str(worker_folder), *options]
        if hidden is not None:
            script = f'mount -t tmpfs none "{hidden}" && exec "$@"'
            command = ["unshare", "-m", "sh", "-c", script, "sh", *command]
        return self._start(command, worker_folder, environment)

    def _start(
        self, command: list[str], working_folder: Path, environment: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        with (working_folder / "log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=working_folder,
                env={**os.environ, **environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Start a scheduler without workers; at the end stop all processes."""
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    dask_cluster = Cluster(folder, port)
    command = [sys.executable, *SCHEDULER, "--host", "127.0.0.1", "--port", str(port)]
    dask_cluster._start([*command, "--no-dashboard"], folder, {})
    try:
        deadline = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)
        yield dask_cluster
    finally:
        for process in reversed(dask_cluster.processes):
            kill_all(process)


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """Kill a worker, its nanny and their children at once."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def can_hide() -> str:
    """Return why a folder cannot be hidden from a worker here, or an empty string."""
    if shutil.which("unshare") is None:
        return "there is no unshare"
    probe = ["unshare", "-m", "mount", "-t", "tmpfs", "none", str(ROOT / "results")]
    tried = subprocess.run(probe, capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"unshare: {tried.stderr.strip()}"
