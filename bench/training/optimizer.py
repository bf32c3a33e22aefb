"""Adam for batched networks: each network of a batch is clipped and updated as if it were alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

ALIGNMENT = 16
"""Numbers. Each parameter of each network begins at a multiple: kernels choose the order of sums by
where a matrix begins, and compute a remainder of a vector by other instructions."""


class Adam:
    """Adam (Kingma & Ba 2015, arXiv 1412.6980) with L2 and clipping inside.

    The gradient of ½ wd ‖θ‖² is added before the norm is clipped, as when the term stands in the
    loss. With `batched`, the first axis of every parameter counts networks, and each network has a
    gradient norm of its own. The updates are element by element, so a network has the same bits
    whatever else is in its batch.

    The parameters are moved into one matrix [networks, numbers] and become views of it, each laid
    out as before, so that an update is a handful of passes over memory whatever they are.

    Args:
        parameters: leaves that need gradients.
        decay: weight decay of each parameter.
        clip: bound on the gradient's norm.
        batched: whether the first axis counts independent networks.

    Raises:
        ValueError: parameters of several types.
    """

    def __init__(
        self, parameters: Sequence[nn.Parameter], decay: Sequence[float], clip: float, batched: bool
    ) -> None:
        types = sorted({str(parameter.dtype) for parameter in parameters})
        if len(types) > 1:
            raise ValueError(f"parameters of several types: {', '.join(types)}")
        networks = len(parameters[0]) if batched else 1
        sizes = [-(-each.numel() // networks // ALIGNMENT) * ALIGNMENT for each in parameters]
        self._weights = parameters[0].detach().new_zeros(networks, sum(sizes))
        self._gradient = torch.zeros_like(self._weights)
        self._first, self._second = torch.zeros_like(self._weights), torch.zeros_like(self._weights)
        self._decay = self._weights.new_zeros(sum(sizes))
        self._gradients = []
        self.clip = clip
        self.steps = torch.zeros((), device=self._weights.device)
        ends = accumulate(sizes)
        for parameter, end, size, each in zip(parameters, ends, sizes, decay, strict=True):
            strides = torch.empty_like(parameter).stride()
            if batched:
                strides = (sum(sizes), *strides[1:])
            place = (parameter.shape, strides, end - size)
            self._decay[end - size : end] = each
            self._gradients.append(torch.as_strided(self._gradient, *place))
            weights = torch.as_strided(self._weights, *place)
            parameter.data = weights.copy_(parameter.detach())

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], rate: float) -> Tensor:
        """One update; returns the gradient's norm before clipping, [1] or [networks]."""
        self.steps += 1
        torch._foreach_copy_(self._gradients, list(gradients))
        self._gradient.addcmul_(self._weights, self._decay)
        norm: Tensor = torch.linalg.vector_norm(self._gradient, dim=1)
        self._gradient.mul_((self.clip / (norm + 1e-6)).clamp(max=1)[:, None])
        torch._fused_adam_(
            [self._weights],
            [self._gradient],
            [self._first],
            [self._second],
            [],
            [self.steps],
            lr=rate,
            beta1=0.9,
            beta2=0.999,
            weight_decay=0.0,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )
        return norm

    def state(self) -> dict[str, Tensor]:
        """What the next update depends on beside the parameters, by name; the live tensors."""
        return {"steps": self.steps, "first": self._first, "second": self._second}
