"""Adam for batched networks: each network of a batch is clipped and updated as if it were alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Adam:
    """Adam (Kingma & Ba 2015, arXiv 1412.6980) with L2 and clipping inside.

    The gradient of ½ wd ‖θ‖² is added before the norm is clipped, as when the term stands in the
    loss. With `batched`, the first axis of every parameter counts networks, and each network has a
    gradient norm of its own. The updates are element by element, so a network has the same bits
    whatever else is in its batch.

    Args:
        parameters: leaves that need gradients.
        decay: weight decay of each parameter.
        clip: bound on the gradient's norm.
        batched: whether the first axis counts independent networks.
    """

    def __init__(
        self, parameters: Sequence[nn.Parameter], decay: Sequence[float], clip: float, batched: bool
    ) -> None:
        self.parameters = [parameter.detach() for parameter in parameters]
        self.clip = clip
        self.batched = batched
        self.steps = torch.zeros((), dtype=torch.int64)
        self._first = [torch.zeros_like(parameter) for parameter in self.parameters]
        self._second = [torch.zeros_like(parameter) for parameter in self.parameters]
        self._decay = list(decay)

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], rate: float) -> Tensor:
        """One update; returns the gradient's norm before clipping, [1] or [networks]."""
        self.steps += 1
        steps = int(self.steps)
        decayed = list(torch._foreach_mul(self.parameters, self._decay))
        torch._foreach_add_(decayed, list(gradients))
        norm = self._clip(decayed)
        torch._foreach_lerp_(self._first, decayed, 0.1)
        torch._foreach_mul_(self._second, 0.999)
        torch._foreach_addcmul_(self._second, decayed, decayed, 0.001)
        scale = torch._foreach_sqrt(self._second)
        torch._foreach_div_(scale, math.sqrt(1 - 0.999**steps))
        torch._foreach_add_(scale, 1e-8)
        size = -rate / (1 - 0.9**steps)
        torch._foreach_addcdiv_(self.parameters, self._first, scale, size)
        return norm

    def state(self) -> dict[str, Tensor]:
        """What the next update depends on beside the parameters, by name; the live tensors."""
        moments = {"first": self._first, "second": self._second}
        named = {f"{name}.{i}": each for name in moments for i, each in enumerate(moments[name])}
        return {"steps": self.steps, **named}

    def _clip(self, gradients: list[Tensor]) -> Tensor:
        rows = [g.flatten(1) if self.batched else g.reshape(1, -1) for g in gradients]
        norm = sum(
            (row.square().sum(1) for row in rows), torch.zeros((), device=rows[0].device)
        ).sqrt()
        factor = (self.clip / (norm + 1e-6)).clamp(max=1)
        for gradient in gradients:
            shape = (-1, *[1] * (gradient.dim() - 1)) if self.batched else ()
            gradient.mul_(factor.view(shape))
        return norm
