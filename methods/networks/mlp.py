"""Multi-layer perceptrons, n of them as one batched module."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from methods.networks.base import Networks


class BatchedLinear(nn.Module):
    """n linear layers: [n, B, inputs] -> [n, B, outputs] in one batched product.

    Each is initialised as `torch.nn.Linear`: uniform within ±1/√inputs, from its own generator.
    """

    def __init__(self, inputs: int, outputs: int, generators: Sequence[Generator]) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)

        def uniform(*shape: int) -> nn.Parameter:
            draws = [torch.rand(shape, generator=generator) for generator in generators]
            return nn.Parameter((torch.stack(draws) * 2 - 1) * bound)

        self.weight = uniform(inputs, outputs)
        self.bias = uniform(1, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


class BatchedMLP(nn.Module):
    """n perceptrons with ReLU between layers: [B, D] or [n, B, D] -> [n, B, widths[-1]].

    Args:
        widths: of input, hidden layers and output.
        generators: n of them, one per network; the same one may stand in several places.
        activated: whether a ReLU follows the last layer too.
    """

    def __init__(
        self, widths: Sequence[int], generators: Sequence[Generator], activated: bool = False
    ) -> None:
        super().__init__()
        self.count = len(generators)
        self.activated = activated
        self.layers = nn.ModuleList(
            BatchedLinear(inputs, outputs, generators) for inputs, outputs in pairwise(widths)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x.expand(self.count, *x.shape[-2:])
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if self.activated or index + 1 < len(self.layers):
                x = functional.relu_(x)
        return x


class MLPNetworks(Networks):
    """Perceptrons with the given hidden widths of member, core and head."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        member: Sequence[int],
        core: Sequence[int],
        head: Sequence[int],
    ) -> None:
        self.outputs = outputs
        self._member = [inputs, *member, outputs]
        self._core = [inputs, *core]
        self._head = [self._core[-1], *head, outputs]

    def members(self, generators: Sequence[Generator]) -> nn.Module:
        return BatchedMLP(self._member, generators)

    def core(self, generator: Generator) -> nn.Module:
        return BatchedMLP(self._core, [generator], activated=True)

    def heads(self, count: int, generator: Generator) -> nn.Module:
        return BatchedMLP(self._head, [generator] * count)

    def trunk(self, generator: Generator) -> tuple[nn.Module, int]:
        widths = self._core + self._head[1:-1]
        return BatchedMLP(widths, [generator], activated=True), widths[-1]
