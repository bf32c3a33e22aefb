"""The devices and processor cores that a run may use."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

from distillation_bench.bench.common.errors import UsageError

DEVICE_VARIABLE = "BENCH_DEVICE"
"""The environment variable that holds the device of a worker."""
MAX_LOCAL_JOBS, MAX_CLUSTER_JOBS, MAX_JOBS_PER_GPU = 256, 10_000, 64
"""The largest numbers of jobs that run at the same time: on a machine, a cluster, a GPU."""


def parse_devices(text: str) -> list[str]:
    """Return the devices that a text names.

    Args:
        text: `cpu`, `cuda` (all GPUs), `cuda:0,1`, or `auto` (all GPUs if there are any, else
            the CPU).

    Raises:
        UsageError: the text is not of this form, or there is no such device.
    """
    match = re.fullmatch(r"auto|cpu|cuda(?::([0-9]{1,4}(?:,[0-9]{1,4})*))?", text)
    if match is None:
        raise UsageError(f"--device {text}: unknown device; give auto, cpu, cuda or cuda:0,1")
    if text == "cpu" or (text == "auto" and not Path("/dev/nvidiactl").exists()):
        return ["cpu"]
    count = _gpus()
    if text == "auto" and not count:
        return ["cpu"]
    numbers = [int(number) for number in match[1].split(",")] if match[1] else list(range(count))
    absent = [number for number in numbers if number >= count]
    if absent or not numbers:
        raise UsageError(f"--device {text}: torch sees {count or 'no'} GPU{'s' * (count > 1)} here")
    return [f"cuda:{number}" for number in dict.fromkeys(numbers)]


def device_kind(devices: list[str]) -> str:
    """Return `cpu` or `cuda`; values differ between these kinds."""
    return devices[0].partition(":")[0]


def cores(root: Path = Path("/")) -> int:
    """Return the number of cores that this process may use, by its affinity and its quotas.

    `joblib.cpu_count` sees the quota of the outermost control group only, and takes a sixth of a
    second to import.

    Args:
        root: the root of the file system.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min([count, *(math.ceil(quota) for quota in _quotas(root))])


def _quotas(root: Path) -> list[float]:
    """Return the quotas, in cores, of the control groups of this process, from its own outwards."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    quotas = []
    for line in lines:
        controllers, _, group = line.partition(":")[2].partition(":")
        # Version 2 has a single hierarchy, which names no controllers.
        if not controllers or "cpu" in controllers.split(","):
            top = root / "sys/fs/cgroup" / controllers
            inner = top / group.strip("/")
            # In a container the outer groups of the name do not exist.
            quotas += [_quota(folder) for folder in (inner, *inner.parents)]
    return [quota for quota in quotas if quota > 0]


def _quota(folder: Path) -> float:
    """Return the quota of a control group in cores; 0 if it has none."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
        return int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return 0.0


def _gpus() -> int:
    """Return the number of GPUs that torch can use.

    It asks the driver only, without initialising CUDA, so that workers can still be forked.
    """
    import torch

    return torch.cuda.device_count()
