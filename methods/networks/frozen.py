"""A network that is used, but not trained."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Frozen(nn.Module):
    """Gives a network's outputs in evaluation mode, without gradients.

    The network's parameters are not those of this module, so that a stage which has it does not
    train them. They must be a part of the student.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        # In a tuple, where torch does not find it.
        self._hidden = (network,)

    @torch.no_grad()
    def forward(self, *inputs: Any) -> Any:
        (network,) = self._hidden
        # A training that is resumed in this stage has not left the one before in that mode.
        return network.eval()(*inputs)
