"""Adam for batched networks: each network of a batch is clipped and updated independently."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, groupby
from operator import itemgetter

import torch
from torch import Tensor, nn

ALIGNMENT = 16
"""Each parameter of each network begins at a multiple of this many numbers.

Kernels choose the order of a sum by the address of a matrix, and compute the remainder of a vector
by other instructions. With aligned parameters a network has the same bits in every batch.
"""


class Adam:
    """Adam (Kingma & Ba 2015, arXiv 1412.6980) with an L2 term and gradient clipping.

    The gradient of ½ wd ‖θ‖² is added before the norm is clipped, as if the term were part of the
    loss. If `batched`, the first axis of every parameter counts networks, and each network has its
    own gradient norm. The update acts element by element, so a network has the same bits whatever
    else is in its batch.

    The parameters are copied into one matrix [networks, numbers] and become views of it with their
    old strides. An update then takes a few passes over memory, however many parameters there are.

    Args:
        parameters: leaf tensors that need gradients.
        decay: weight decay of each parameter.
        clip: upper bound on the norm of the gradient.
        batched: whether the first axis counts independent networks.
        rates: factor of each parameter on the learning rate; 1 for all if none are given.

    Raises:
        ValueError: the parameters have several data types.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        decay: Sequence[float],
        clip: float,
        batched: bool,
        rates: Sequence[float] = (),
    ) -> None:
        types = sorted({str(parameter.dtype) for parameter in parameters})
        if len(types) > 1:
            raise ValueError(f"parameters of several types: {', '.join(types)}")
        networks = len(parameters[0]) if batched else 1
        sizes = [-(-p.numel() // networks // ALIGNMENT) * ALIGNMENT for p in parameters]
        self.parameters = parameters
        self._clip = clip
        self._weights = parameters[0].detach().new_zeros(networks, sum(sizes))
        self._gradient = torch.zeros_like(self._weights)
        self._first, self._second = torch.zeros_like(self._weights), torch.zeros_like(self._weights)
        self._decay = self._weights.new_zeros(sum(sizes))
        self._gradients: list[Tensor] = []
        self._steps = torch.zeros((), device=self._weights.device)
        ends = list(accumulate(sizes))
        for parameter, end, size, value in zip(parameters, ends, sizes, decay, strict=True):
            self._decay[end - size : end] = value
            self._move(parameter, end - size, batched)
        self._parts = [
            (factor, self._contiguous(columns))
            for columns, factor in _spans(ends, rates or [1.0] * len(ends))
        ]

    def _move(self, parameter: nn.Parameter, start: int, batched: bool) -> None:
        """Make a parameter a view of the weights' matrix that begins at column `start`."""
        strides = torch.empty_like(parameter).stride()
        if batched:
            strides = (self._weights.shape[1], *strides[1:])
        layout = (parameter.shape, strides, start)
        self._gradients.append(torch.as_strided(self._gradient, *layout))
        weights = torch.as_strided(self._weights, *layout)
        parameter.data = weights.copy_(parameter.detach())

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], rate: float) -> Tensor:
        """Update the parameters.

        Args:
            gradients: of the parameters.
            rate: learning rate.

        Returns:
            The norm of the gradient before clipping, [1] or [networks].
        """
        self._steps += 1
        torch._foreach_copy_(self._gradients, list(gradients))
        self._gradient.addcmul_(self._weights, self._decay)
        norm: Tensor = torch.linalg.vector_norm(self._gradient, dim=1)
        self._gradient.mul_((self._clip / (norm + 1e-6)).clamp(max=1)[:, None])
        for factor, (weights, gradient, first, second) in self._parts:
            torch._fused_adam_(
                weights,
                gradient,
                first,
                second,
                [],
                [self._steps] * len(weights),
                lr=rate * factor,
                beta1=0.9,
                beta2=0.999,
                weight_decay=0.0,
                eps=1e-8,
                amsgrad=False,
                maximize=False,
            )
        return norm

    def _contiguous(self, columns: slice) -> list[list[Tensor]]:
        """Return some columns of weights, gradient and moments, in contiguous pieces."""
        matrices = (self._weights, self._gradient, self._first, self._second)
        if columns == slice(0, self._weights.shape[1]):
            return [[matrix] for matrix in matrices]
        return [list(matrix[:, columns].unbind(0)) for matrix in matrices]

    def state(self) -> dict[str, Tensor]:
        """Return the optimiser's tensors by name; `step` changes them in place."""
        return {"steps": self._steps, "first": self._first, "second": self._second}


def _spans(ends: Sequence[int], rates: Sequence[float]) -> list[tuple[slice, float]]:
    """Return the columns of neighbouring parameters that have the same rate, and that rate.

    Args:
        ends: of each parameter's columns.
        rates: of each parameter.
    """
    spans, start = [], 0
    for rate, parameters in groupby(zip(ends, rates, strict=True), key=itemgetter(1)):
        *_, (end, _) = parameters
        spans.append((slice(start, end), rate))
        start = end
    return spans
