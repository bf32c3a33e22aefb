"""The devices of `--device`, those of workers, and the number of cores."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from distillation_bench.bench.common.devices import DEVICE_VARIABLE, cores, parse_devices
from distillation_bench.bench.common.paths import IMPORT_FOLDER
from distillation_bench.bench.execution.executors.base import JobFailed
from distillation_bench.bench.execution.executors.local import LocalExecutor
from distillation_bench.bench.training.hardware.compute import Compute, process_device

Mistake = Callable[..., str]
NONSENSE = ["", "gpu", "CPU", "cuda:", "cuda:a", "cuda:0,", "cuda:-1", "cpu:0", "auto:1", "cuda 0"]


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """gpus(n): a machine with n GPUs and the file of their driver."""

    def pretend(count: int) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(Path, "exists", lambda path: count > 0)

    return pretend


@pytest.mark.parametrize(
    ("text", "count", "devices"),
    [
        ("cpu", 0, ["cpu"]),
        ("cpu", 2, ["cpu"]),
        ("auto", 0, ["cpu"]),
        ("auto", 2, ["cuda:0", "cuda:1"]),
        ("cuda", 1, ["cuda:0"]),
        ("cuda", 3, ["cuda:0", "cuda:1", "cuda:2"]),
        ("cuda:1", 2, ["cuda:1"]),
        ("cuda:2,0", 3, ["cuda:2", "cuda:0"]),
        ("cuda:0,0", 1, ["cuda:0"]),
    ],
)
def test_devices_by_name(
    text: str, count: int, devices: list[str], gpus: Callable[[int], None]
) -> None:
    gpus(count)
    assert parse_devices(text) == devices


@pytest.mark.parametrize(
    ("text", "count", "devices"),
    [("cuda", 0, "no GPU"), ("cuda:0", 0, "no GPU"), ("cuda:0,1", 1, "1 GPU"), ("cuda:2", 2, "2")],
)
def test_a_missing_device_is_refused(
    text: str, count: int, devices: str, gpus: Callable[[int], None], mistake: Mistake
) -> None:
    gpus(count)
    message = mistake(parse_devices, text)
    assert message.startswith(f"--device {text}: torch sees {devices}")


def test_a_driver_without_a_gpu_means_cpu(
    gpus: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(0)
    monkeypatch.setattr(Path, "exists", lambda path: True)
    assert parse_devices("auto") == ["cpu"]


@pytest.mark.parametrize("text", NONSENSE)
def test_an_invalid_device_is_reported(
    text: str, gpus: Callable[[int], None], mistake: Mistake
) -> None:
    gpus(4)
    expected = f"--device {text}: unknown device; give auto, cpu, cuda or cuda:0,1"
    assert mistake(parse_devices, text) == expected


def device_after(seconds: float) -> str:
    """Return the device of the worker that calls this."""
    time.sleep(seconds)
    return os.environ[DEVICE_VARIABLE]


def test_workers_at_the_same_time_have_different_devices() -> None:
    executor = LocalExecutor(3, None, ["cuda:0", "cuda:1"])
    try:
        together = [executor.submit(device_after, 1.0) for _ in range(3)]
        devices = sorted(future.result(60) for future in together)
        assert devices == ["cuda:0", "cuda:0", "cuda:1"]
        # A job that fails releases its device too.
        for _ in range(4):
            with pytest.raises(JobFailed):
                executor.submit(int, "x").result(60)
        together = [executor.submit(device_after, 0.5) for _ in range(3)]
        assert sorted(future.result(60) for future in together) == devices
    finally:
        executor.stop()


def test_a_process_uses_the_device_of_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DEVICE_VARIABLE, "cuda:1")
    assert process_device() == torch.device("cuda:1")
    monkeypatch.delenv(DEVICE_VARIABLE)
    assert process_device() == torch.device("cpu")


def test_low_precision_gives_float32() -> None:
    layer, x = torch.nn.Linear(3, 2), torch.randn(5, 3)
    plain = Compute().outputs(lambda: layer(x))
    low = Compute(precision="bfloat16").outputs(lambda: layer(x))
    assert plain.dtype == low.dtype == torch.float32
    assert torch.equal(plain, layer(x))
    assert torch.equal(low, low.bfloat16().float()) and not torch.equal(low, plain)
    torch.testing.assert_close(low, plain, rtol=0.02, atol=0.02)


V2, V1 = "0::{group}\n", "12:memory:/m\n3:cpu,cpuacct:{group}\n0::/u\n"
UNIFIED, SPLIT = "sys/fs/cgroup", "sys/fs/cgroup/cpu,cpuacct"


@pytest.mark.parametrize(
    ("kind", "group", "files", "count"),
    [
        (V2, "/", {}, 8),
        (V2, "/", {f"{UNIFIED}/cpu.max": "max 100000"}, 8),
        (V2, "/", {f"{UNIFIED}/cpu.max": "200000 100000"}, 2),
        (V2, "/", {f"{UNIFIED}/cpu.max": "150000 100000"}, 2),
        (V2, "/", {f"{UNIFIED}/cpu.max": "10000 100000"}, 1),
        (V2, "/", {f"{UNIFIED}/cpu.max": "9900000 100000"}, 8),
        (V2, "/a/b", {f"{UNIFIED}/a/cpu.max": "300000 100000"}, 3),
        (
            V2,
            "/a/b",
            {f"{UNIFIED}/a/cpu.max": "300000 100000", f"{UNIFIED}/a/b/cpu.max": "max 100000"},
            3,
        ),
        (V2, "/not/seen/here", {f"{UNIFIED}/cpu.max": "100000 50000"}, 2),
        (V2, "/", {f"{UNIFIED}/cpu.max": "nonsense"}, 8),
        (V1, "/", {f"{SPLIT}/cpu.cfs_quota_us": "-1", f"{SPLIT}/cpu.cfs_period_us": "100000"}, 8),
        (
            V1,
            "/docker/x",
            {f"{SPLIT}/cpu.cfs_quota_us": "400000", f"{SPLIT}/cpu.cfs_period_us": "100000"},
            4,
        ),
        (
            V1,
            "/g",
            {f"{SPLIT}/g/cpu.cfs_quota_us": "250000", f"{SPLIT}/g/cpu.cfs_period_us": "100000"},
            3,
        ),
    ],
)
def test_cores_within_a_quota(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    group: str,
    files: dict[str, str],
    count: int,
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)))
    assert cores(tmp_path) == 8
    for name, text in {"proc/self/cgroup": kind.format(group=group), **files}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert cores(tmp_path) == count


def test_cores_of_a_real_control_group() -> None:
    """A new group within that of this process, with a quota of half a core."""
    group = Path(f"/sys/fs/cgroup/cpu/bench-{os.getpid()}")
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group with a quota can be made on this machine: {error}")
    try:
        (group / "cpu.cfs_quota_us").write_text("50000")
        code = "from distillation_bench.bench.common.devices import cores; print(cores())"
        shell = f'echo $$ > {group}/cgroup.procs && exec "$@"'
        done = subprocess.run(
            ["sh", "-c", shell, "sh", sys.executable, "-c", code],
            cwd=IMPORT_FOLDER,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "1\n"
    finally:
        group.rmdir()
