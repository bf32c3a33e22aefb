"""The versions and the hardware that a cell ran on."""

from __future__ import annotations

import contextlib
import functools
import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch

from distillation_bench.bench.training.hardware.compute import process_device


def environment() -> dict[str, Any]:
    """Return versions, processor, number of threads and device of this process."""
    return {**machine(), "threads": torch.get_num_threads(), "device": _device_name()}


@functools.cache
def machine() -> dict[str, Any]:
    """Return the part that is the same for all jobs; reading it takes some milliseconds."""
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "processor": _processor(),
    }


def _device_name() -> str:
    device = process_device()
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
