"""Runs that are interrupted, killed or share folders."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.end_to_end.bench_command import Bench, folders, start
from tests.end_to_end.failing_plugins import CELL, ending_plugin


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Wait until a running process has written a file."""
    while not path.exists():
        assert process.poll() is None, "it ended"
        time.sleep(0.01)


@pytest.mark.parametrize(
    "moments",
    [
        (0.2, 0.9, 1.8),
        pytest.param([number / 20 for number in range(2, 70)], marks=pytest.mark.slow),
    ],
    ids=["some", "many"],
)
def test_ctrl_c_at_any_moment_ends_cleanly(tmp_path: Path, moments: Iterable[float]) -> None:
    """It prints how to resume or nothing, and leaves no process or temporary file."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    for moment in moments:
        process = start(
            *("run", *CELL[:6], "--set", "epochs=100000", "--jobs", "2", *folders("run")),
            folder=tmp_path,
            session=True,
            TMPDIR=str(temporary),
        )
        time.sleep(moment)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert not {"Traceback", "Error", "Exception"} & set(re.findall(r"\w+", err)), err
        # What was told to end holds its streams no longer, and is gone within moments.
        with pytest.raises(ProcessLookupError):
            for _ in range(500):
                os.killpg(process.pid, 0)
                time.sleep(0.02)
        assert not list(temporary.iterdir())


def test_two_drivers_of_one_folder_are_refused(in_process: Bench, tmp_path: Path) -> None:
    """Two folders may share a cache, and a teacher that is being trained."""
    arguments = ending_plugin(tmp_path, ["hangs"])
    shared = ("--cache", "cache", "--set", "members=3", "--set", "piece=1", "--jobs", "2")
    first = start("run", *arguments, *CELL[:8], *shared, "--results", "run", folder=tmp_path)
    with_shared_cache = start("run", *CELL[:8], *shared, "--results", "other", folder=tmp_path)
    # Its output is no sign: the other run may have prepared the data.
    wait_for(tmp_path / "run" / ".driver", first)
    second = in_process("run", *CELL[:8], *shared, "--results", "run")
    _, err = with_shared_cache.communicate(timeout=120)
    assert with_shared_cache.returncode == 0, err
    assert first.stderr is not None
    while "] spiral kd seed 0" not in (line := first.stderr.readline()):
        assert line, "the first run ended"
    status = in_process("status", "run").stdout
    first.terminate()
    first.communicate(timeout=60)
    assert second.returncode == 2
    assert f"in use by process {first.pid}" in second.stderr
    assert f"driven by process {first.pid}" in status
    assert first.returncode == 130


def test_a_killed_fork_server_does_not_end_the_run(tmp_path: Path) -> None:
    arguments = ("-m", "kd", "-m", "hydra", "-m", "single", *CELL[2:], "-s", "0-1")
    process = start("run", *arguments, "--jobs", "2", *folders("run"), folder=tmp_path)
    assert process.stderr is not None
    lines = [process.stderr.readline() for _ in range(3)]
    servers = [pid for pid in children(process.pid) if "fork_server" in command_of(pid)]
    assert len(servers) == 1
    os.kill(servers[0], signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, [*lines, err]
    assert "Traceback" not in err
    statuses = (tmp_path / "run/results.csv").read_text().splitlines()[1:]
    assert len(statuses) == 6 and all(",done," in row for row in statuses)


def children(pid: int) -> list[int]:
    """Return the children of a process from the kernel's list of all processes."""
    pids = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                pids.append(int(stat.parent.name))
    return pids


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_closed_terminal_ends_a_plan_as_ctrl_c_does(
    in_process: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    def closed(*arguments: object) -> None:
        os.kill(os.getpid(), number)
        time.sleep(10)

    monkeypatch.setattr("distillation_bench.bench.planning.cells.make_cells", closed)
    for command in ("plan", "run"):
        done = in_process(command, *CELL, *folders("run"))
        assert done.returncode == 130 and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
