"""Where a task computes, and how precisely."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from distillation_bench.bench.common.devices import DEVICE


def prepare_process() -> None:
    """One thread, and memory that stays mapped: for a process that trains.

    With a thread each, workers neither disturb one another nor change a bit of the figures; large
    tensors are kept on the heap because a fresh mapping faults on every page, every step.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    # What the recipe calls float32 is that on a GPU too.
    torch.backends.cudnn.allow_tf32 = False
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        trim_threshold, top_pad, mmap_max = -1, -2, -4
        libc.mallopt(mmap_max, 0)
        libc.mallopt(trim_threshold, 2**31 - 1)
        libc.mallopt(top_pad, 64 * 2**20)


def process_device() -> torch.device:
    """The device of this process: the executor's choice, else the CPU."""
    return torch.device(os.environ.get(DEVICE, "cpu"))


@dataclass(frozen=True)
class Compute:
    """A device and a precision.

    Attributes:
        device: where tensors are.
        precision: "float32", or "bfloat16": the forward pass under torch's autocast, which keeps
            what needs range in float32; losses are computed in float32.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: str = "float32"

    def outputs(self, function: Callable[[], Tensor]) -> Tensor:
        """What a forward pass gives, in this precision, as float32."""
        if self.precision != "bfloat16":
            return function()
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            return function().float()


CPU = Compute()
