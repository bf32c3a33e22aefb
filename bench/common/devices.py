"""The devices that cells are spread over, as the command line names them."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

from distillation_bench.bench.common.errors import UsageError

DEVICE = "BENCH_DEVICE"
"""The environment variable by which an executor tells a worker its device."""
MAX_LOCAL_JOBS, MAX_CLUSTER_JOBS, MAX_JOBS_PER_GPU = 256, 10_000, 64
"""Tasks at a time that a machine, a cluster and a GPU may be asked for."""


def parse_devices(text: str) -> list[str]:
    """`cpu`, `cuda` (all GPUs), `cuda:0,1`, or `auto`: all GPUs if there are any, else the CPU.

    Raises:
        UsageError: not of this form, or there is no such device.
    """
    match = re.fullmatch(r"auto|cpu|cuda(?::([0-9]{1,4}(?:,[0-9]{1,4})*))?", text)
    if match is None:
        raise UsageError(f"--device {text}: not auto, cpu, cuda or cuda:0,1")
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
    """`cpu` or `cuda`: figures of one kind are not those of the other."""
    return devices[0].partition(":")[0]


def cores(root: Path = Path("/")) -> int:
    """Those that this process may use, and that the quotas of its control groups pay for.

    `joblib.cpu_count` sees a quota of the outermost group alone, and takes a sixth of a second to
    import.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min([count, *(math.ceil(quota) for quota in _quotas(root))])


def _quotas(root: Path) -> list[float]:
    """In cores, of the control groups that this process is in, from its own outwards."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    quotas = []
    for line in lines:
        controllers, _, group = line.partition(":")[2].partition(":")
        # Version 2 has one hierarchy, which names no controllers.
        if not controllers or "cpu" in controllers.split(","):
            top = root / "sys/fs/cgroup" / controllers
            inner = top / group.strip("/")
            # In a container the outer part of the name leads nowhere.
            quotas += [_quota(each) for each in (inner, *inner.parents)]
    return [quota for quota in quotas if quota > 0]


def _quota(folder: Path) -> float:
    """Of one control group; 0 if it has none."""
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
    """GPUs that torch can use; asks the driver alone, so that workers may still be forked."""
    import torch

    return torch.cuda.device_count()
