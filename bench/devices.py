"""The devices that cells are spread over, as the command line names them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from bench.errors import UsageError

DEVICE = "BENCH_DEVICE"
"""The environment variable by which an executor tells a worker its device."""


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


def cores() -> int:
    """Those that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _gpus() -> int:
    """GPUs that torch can use; asks the driver alone, so that workers may still be forked."""
    import torch

    return torch.cuda.device_count()
