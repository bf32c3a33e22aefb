"""Real faults, such as full disks and killed processes, lose no finished cell."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.end_to_end.bench_command import (
    SHORT,
    Bench,
    command,
    folders,
    records,
    run_whole,
    start,
    tables,
)
from tests.end_to_end.test_same_bits import epochs_kept

pytestmark = pytest.mark.slow
FEW = ("-m", "kd", "-m", "hydra", "-d", "spiral", "-s", "0-2", *SHORT, "--jobs", "2")

Disk = Callable[[Path, str], None]


@pytest.fixture
def disk() -> Iterator[Disk]:
    """disk(folder, options): mount a file system on a folder."""
    mounted: list[Path] = []

    def mount(folder: Path, options: str) -> None:
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
        if shutil.which("mount") is None:
            pytest.skip("there is no mount")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        mounted.append(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """The tables of the cells, run without disturbance."""
    return tables(run_whole(tmp_path_factory.mktemp("undisturbed"), *FEW))


@pytest.mark.parametrize(("full", "size"), [("run-cache", "700k"), ("run", "300k")])
def test_a_full_disk_loses_nothing(
    bench: Bench,
    disk: Disk,
    undisturbed: tuple[bytes, bytes],
    tmp_path: Path,
    full: str,
    size: str,
) -> None:
    disk(tmp_path / full, f"size={size}")
    done = bench("run", *FEW, *folders("run"))
    line = done.stderr.splitlines()[-1]
    assert done.returncode == 2, done.stderr
    assert line.startswith("error: ") and "No space left" in line and "Traceback" not in line
    finished = records(tmp_path / "run")
    subprocess.run(["mount", "-o", "remount,size=50m", str(tmp_path / full)], check=True)
    again = bench("run", *FEW, *folders("run"))
    assert again.returncode == 0, again.stderr
    now = records(tmp_path / "run")
    assert {name: now[name] for name in finished} == finished and len(now) == 6
    assert tables(tmp_path / "run") == undisturbed


@pytest.mark.parametrize("sealed", ["run-cache", "run"])
def test_a_read_only_disk_is_reported(
    bench: Bench, disk: Disk, tmp_path: Path, sealed: str
) -> None:
    disk(tmp_path / sealed, "ro")
    done = bench("run", *FEW, *folders("run"))
    line = done.stderr.splitlines()[-1]
    assert done.returncode == 2 and "Read-only file system" in line and sealed in line


def test_sigterm_ends_cleanly_and_can_be_resumed(
    bench: Bench, undisturbed: tuple[bytes, bytes], tmp_path: Path
) -> None:
    process = start("run", *FEW, *folders("run"), folder=tmp_path)
    while not records(tmp_path / "run"):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Resume with" in err
    assert bench("run", *FEW, *folders("run")).returncode == 0
    assert tables(tmp_path / "run") == undisturbed


@pytest.mark.parametrize("options", [("--jobs", "2"), ("--executor", "dask", "--jobs", "2")])
def test_sigterm_saves_the_training_in_progress(
    bench: Bench, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """The training is saved long before the next checkpoint is due, and resumed."""
    recipe = [f"--set={setting}" for setting in ("members=1", "batch_size=4", "test_examples=90")]
    long = ("-m", "hydra", "-d", "spiral", "-s", "0", *recipe, "--set", "epochs=200", *options)
    process = start("run", *long, *folders("run"), folder=tmp_path)
    cache = tmp_path / "run-cache"
    while not list(cache.glob("outputs-" + 32 * "?" + ".json")):
        time.sleep(0.01)
        assert process.poll() is None
    time.sleep(2)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Resume with" in err
    saved_epochs = wait_for_checkpoint(cache)
    assert 0 < saved_epochs < 200
    again = start("run", *long, *folders("run"), "--checkpoint", "0", folder=tmp_path)
    counts = set()
    while again.poll() is None:
        counts.add(epochs_kept(cache))
        time.sleep(0.001)
    assert again.wait() == 0
    assert min(counts - {0}) >= saved_epochs


def wait_for_checkpoint(cache: Path) -> int:
    """Return the epochs that a worker saved; it may end a moment after its driver."""
    deadline = time.monotonic() + 20
    while not (saved_epochs := epochs_kept(cache)):
        assert time.monotonic() < deadline, sorted(path.name for path in cache.iterdir())
        time.sleep(0.05)
    return saved_epochs


CLOCK = """
import time
start, real = time.time(), time.time
time.time = lambda: start - (real() - start) * 1e5
"""


def test_a_clock_that_runs_backwards_does_no_harm(
    bench: Bench,
    undisturbed: tuple[bytes, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "sitecustomize.py").write_text(CLOCK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert bench("run", *FEW, *folders("run")).returncode == 0
    assert tables(tmp_path / "run") == undisturbed


HUNGRY = '''
import resource
from distillation_bench.methods import register
from distillation_bench.methods.kd import KD

@register
class Hungry(KD):
    """Takes all memory that there is."""

    name = "hungry"

    def build(self, generator):
        resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
        kept = []
        while True:
            kept.append(bytearray(2**28))
'''


def test_a_lack_of_memory_costs_its_cell_alone(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "hungry.py").write_text(HUNGRY)
    done = bench("run", *FEW, "-m", "hungry", "--plugin", "hungry.py", *folders("run"))
    assert done.returncode == 1, done.stderr
    rows = (tmp_path / "run/results.csv").read_text().splitlines()[1:]
    statuses = {tuple(row.split(",")[1:5:3]) for row in rows}
    assert statuses == {("kd", "done"), ("hydra", "done"), ("hungry", "failed")}
    assert "MemoryError" in done.stderr


GREEDY = HUNGRY.replace("resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))", "").replace(
    "bytearray(2**28)", 'bytearray(b"x") * 2**26'
)


@pytest.fixture
def little_memory() -> Iterator[Path]:
    """A control group with 1.5 GB of memory; a process joins by its number."""
    for parent, limit in (("memory", "memory.limit_in_bytes"), (".", "memory.max")):
        group = Path("/sys/fs/cgroup", parent, f"bench-{os.getpid()}")
        try:
            group.mkdir()
            (group / limit).write_text(str(3 * 2**29))
        except OSError as error:
            reason = error
            if group.exists():
                group.rmdir()
            continue
        yield group / "cgroup.procs"
        # Its last processes may be ending.
        while (group / "cgroup.procs").read_text():
            time.sleep(0.05)
        group.rmdir()
        return
    pytest.skip(f"no control group can limit memory here: {reason}")


@pytest.mark.parametrize("options", [(), ("--executor", "dask")], ids=["local", "dask"])
def test_the_oom_killer_costs_one_cell_alone(
    little_memory: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """The memory of the machine is used up, and the kernel kills a process."""
    (tmp_path / "hungry.py").write_text(GREEDY)
    run = (*FEW, "-m", "hungry", "--plugin", "hungry.py", *folders("run"), *options)
    done = subprocess.run(
        ["sh", "-c", f'echo $$ > {little_memory} && exec "$@"', "sh", *command("run", *run)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    rows = (tmp_path / "run/results.csv").read_text().splitlines()[1:]
    statuses = {tuple(row.split(",")[1:5:3]) for row in rows}
    assert statuses == {("kd", "done"), ("hydra", "done"), ("hungry", "failed")}, done.stderr
    assert "killed by SIGKILL (out of memory?), 2 times" in done.stderr


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied"])
def test_damaged_files_are_written_again(
    bench: Bench, undisturbed: tuple[bytes, bytes], tmp_path: Path, damage: str
) -> None:
    assert bench("run", *FEW, *folders("run")).returncode == 0
    record = sorted((tmp_path / "run/cells").glob("*.json"))[1]
    entries = sorted((tmp_path / "run-cache").glob("*.safetensors"))
    for path in (record, *entries):
        content = bytearray(path.read_bytes())
        if damage == "flipped":
            content[len(content) // 2] ^= 16
        damaged = {"cut": content[:-7], "flipped": content, "emptied": bytearray()}
        path.write_bytes(damaged[damage])
    assert bench("run", *FEW, *folders("run")).returncode == 0
    assert tables(tmp_path / "run") == undisturbed
