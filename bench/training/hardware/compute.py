"""On which device and in which precision a process computes."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from distillation_bench.bench.common.devices import DEVICE_VARIABLE
from distillation_bench.methods.base import Outputs


def prepare_process() -> None:
    """Prepare this process for training: one thread, and memory that stays mapped.

    With one thread each, workers do not slow each other down, and values do not depend on the
    number of cores. Large tensors stay on the heap, because a new mapping causes page faults in
    every step.

    Each job prepares its process again, since libraries change the floating-point mode.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    # float32 in a recipe means float32 on a GPU too.
    torch.backends.cudnn.allow_tf32 = False
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        trim_threshold, top_pad, mmap_max = -1, -2, -4
        libc.mallopt(mmap_max, 0)
        libc.mallopt(trim_threshold, 2**31 - 1)
        libc.mallopt(top_pad, 64 * 2**20)


def process_device() -> torch.device:
    """Return the device that the executor gave this process; the CPU if it gave none."""
    return torch.device(os.environ.get(DEVICE_VARIABLE, "cpu"))


@dataclass(frozen=True)
class Compute:
    """A device and a precision.

    Attributes:
        device: where tensors are.
        precision: "float32", or "bfloat16" for a forward pass under torch's autocast, which keeps
            operations that need range in float32. Losses are computed in float32.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: str = "float32"

    def outputs(self, function: Callable[[], Outputs]) -> Outputs:
        """Call a forward pass in this precision; return its result as float32."""
        if self.precision != "bfloat16":
            return function()
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            outputs = function()
        if isinstance(outputs, Tensor):
            return outputs.float()
        return tuple(output.float() for output in outputs)


CPU = Compute()
