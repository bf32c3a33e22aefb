"""Runs on a Ray cluster: the same values to the bit."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.end_to_end.bench_command import SHORT, Bench, folders, start
from tests.end_to_end.dask_cluster import kill_all
from tests.end_to_end.test_same_bits import assert_part_of

pytest.importorskip("ray", reason="ray is not installed")
pytestmark = pytest.mark.slow
FEW = ("-m", "kd", "-m", "ensemble", "-d", "spiral", "-s", "0-1", *SHORT)


@pytest.fixture
def ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a cluster of one node."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    command += ["--port", str(port), "--num-cpus", "2", "--include-dashboard", "false"]
    command += ["--disable-usage-stats", "--node-ip-address", "127.0.0.1"]
    with (tmp_path / "ray.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while b"Ray runtime started" not in (tmp_path / "ray.log").read_bytes():
            assert time.monotonic() < deadline, (tmp_path / "ray.log").read_text()
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        # Its daemons are in sessions of their own.
        children = psutil.Process(process.pid).children(recursive=True)
        kill_all(process)
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


def test_a_run_can_start_its_own_cluster(bench: Bench, reference: Path, tmp_path: Path) -> None:
    done = bench("run", *FEW, "--executor", "ray", "--jobs", "2", *folders("run"))
    assert done.returncode == 0, done.stderr
    assert assert_part_of(tmp_path / "run", reference) == 4


def test_killed_workers_are_replaced(ray: str, reference: Path, tmp_path: Path) -> None:
    options = ("--executor", "ray", "--scheduler", ray)
    process = start("run", *FEW, *options, *folders("run"), folder=tmp_path)
    deadline = time.monotonic() + 120
    while not (busy := working()):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    for pid in busy:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert assert_part_of(tmp_path / "run", reference) == 4


def working() -> list[int]:
    """Return the processes of Ray that run a job now."""
    titles = (
        (process.pid, process.info["cmdline"]) for process in psutil.process_iter(["cmdline"])
    )
    return [pid for pid, title in titles if title and title[0].startswith("ray::_run_on_node")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--device", "cuda", "--jobs", "1"), "no worker has a GPU; start Ray's nodes with"),
        (("--scheduler", "127.0.0.1:9"), "no Ray cluster answers"),
    ],
)
def test_impossible_options_are_reported_in_one_line(
    bench: Bench, options: tuple[str, ...], message: str
) -> None:
    done = bench("run", *FEW, "--executor", "ray", *options, *folders("run"))
    assert done.returncode == 2 and message in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
