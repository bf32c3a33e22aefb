"""Where a task computes, and how precisely."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from bench.devices import DEVICE


def device_here() -> torch.device:
    """The device of this process: the executor's choice, else the CPU."""
    return torch.device(os.environ.get(DEVICE, "cpu"))


@dataclass(frozen=True)
class Compute:
    """A device and a precision.

    Attributes:
        device: where tensors are.
        precision: "float32", or "bfloat16": convolutions and products in it, the rest in float32.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: str = "float32"

    def outputs(self, function: Callable[[], Tensor]) -> Tensor:
        """What a forward pass gives, in this precision, as float32."""
        low = self.precision == "bfloat16"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=low):
            return function().float()


CPU = Compute()
