"""A network whose outputs are multiplied and shifted by fixed numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from distillation_bench.methods.networks.heads import shared_part


class Rescaled(nn.Module):
    """A network whose output k is multiplied by factor[k], then shifted by shift[k].

    Both are buffers, 1 and 0 at first.
    """

    factor: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, outputs: int) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("factor", torch.ones(outputs))
        self.register_buffer("shift", torch.zeros(outputs))

    @property
    def shared(self) -> nn.Module | None:
        """The part that all outputs share."""
        return shared_part(self.network)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.network(x)
        return outputs * self.factor + self.shift
