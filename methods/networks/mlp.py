"""Multi-layer perceptrons, n of them as one batched module."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from distillation_bench.methods.networks.batched import Stacked
from distillation_bench.methods.networks.builder import NetworkBuilder
from distillation_bench.methods.networks.options import MLPOptions

ALIGNMENT = 4
"""Each network's slice of a product is padded to a multiple of this many numbers, 16 bytes.

Kernels choose the order of a sum by the address of a slice, but a network must have the same bits
in every batch of networks.
"""


@contextmanager
def unpadded() -> Iterator[None]:
    """Turn padding off within the block, to count the operations of a layer without it."""
    global ALIGNMENT
    before, ALIGNMENT = ALIGNMENT, 1
    try:
        yield
    finally:
        ALIGNMENT = before


class BatchedLinear(nn.Module):
    """n linear layers in one batched product: [n, inputs, B] -> [n, outputs, B].

    Examples are columns, because this is faster for layers that are narrower than a batch. Each
    layer is initialised as `torch.nn.Linear`, uniformly within ±1/√inputs, from its own generator.
    """

    def __init__(self, inputs: int, outputs: int, generators: Sequence[Generator]) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)

        def uniform(*shape: int) -> nn.Parameter:
            draws = [torch.rand(shape, generator=generator) for generator in generators]
            return nn.Parameter((torch.stack(draws) * 2 - 1) * bound)

        self.weight = uniform(outputs, inputs)
        self.bias = uniform(outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return affine(self.weight, self.bias, x)


def affine(weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    """Return weight · x + bias, [n, outputs, B].

    Args:
        weight: [n, outputs, inputs].
        bias: [n, outputs, 1].
        x: [n, inputs, B].
    """
    (outputs, inputs), examples = weight.shape[1:], x.shape[-1]
    slices = (inputs * outputs, inputs * examples, outputs * examples)
    if not any(size % ALIGNMENT for size in slices):
        return torch.baddbmm(bias, weight, x)
    more_inputs, more_outputs = -inputs % ALIGNMENT, -outputs % ALIGNMENT
    x = functional.pad(x, (0, 0, 0, more_inputs))
    weight = functional.pad(weight, (0, more_inputs, 0, more_outputs))
    bias = functional.pad(bias, (0, 0, 0, more_outputs))
    return torch.baddbmm(bias, weight, x)[:, :outputs]


class BatchedMLP(Stacked):
    """n perceptrons with ReLU between layers: [B, ...] or [n, B, ...] -> [n, B, widths[-1]].

    Args:
        widths: of the flat input, hidden layers and output.
        generators: one per network; networks may share one.
        activated: whether a ReLU follows the last layer too.
        rank: number of dimensions of one example.
    """

    def __init__(
        self,
        widths: Sequence[int],
        generators: Sequence[Generator],
        activated: bool = False,
        rank: int = 1,
    ) -> None:
        super().__init__()
        self.count = len(generators)
        self.activated = activated
        self.rank = rank
        self.layers = nn.ModuleList(
            BatchedLinear(inputs, outputs, generators) for inputs, outputs in pairwise(widths)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(-self.rank).mT
        x = x.expand(self.count, *x.shape[-2:])
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if self.activated or index + 1 < len(self.layers):
                x = functional.relu_(x)
        return x.mT

    def rows(self) -> Iterator[Tensor]:
        yield from self.parameters()


def dense(widths: Sequence[int]) -> list[nn.Module]:
    """Return linear layers from width to width, each followed by a ReLU."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True)]
    return layers


def perceptron(widths: Sequence[int]) -> list[nn.Module]:
    """Return linear layers with a ReLU between them."""
    return [*dense(widths[:-1]), nn.Linear(widths[-2], widths[-1])]


class MLPBuilder(NetworkBuilder):
    """Perceptrons on inputs of any shape, with the given hidden widths."""

    options: MLPOptions

    def core_layers(self, shape: tuple[int, ...]) -> Sequence[nn.Module]:
        return [nn.Flatten(), *dense([math.prod(shape), *self.options.core])]

    def head_layers(self, outputs: int) -> Sequence[nn.Module]:
        return perceptron(self._head(outputs))

    def members(self, generators: Sequence[Generator]) -> nn.Module:
        widths = [math.prod(self.shape), *self.options.member, self.outputs]
        return BatchedMLP(widths, generators, rank=len(self.shape))

    def stack(self, count: int, generator: Generator) -> nn.Module:
        widths = [*self._core, *self._head(self.outputs)[1:]]
        return BatchedMLP(widths, [generator] * count, rank=len(self.shape))

    def core(self, generator: Generator) -> nn.Module:
        return BatchedMLP(self._core, [generator], activated=True, rank=len(self.shape))

    def heads(self, count: int, generator: Generator, outputs: int | None = None) -> Stacked:
        return BatchedMLP(self._head(outputs or self.outputs), [generator] * count)

    def trunk(self, generator: Generator) -> tuple[nn.Module, int]:
        widths = self._core + self.options.head
        trunk = BatchedMLP(widths, [generator], activated=True, rank=len(self.shape))
        return trunk, widths[-1]

    @property
    def _core(self) -> list[int]:
        return [math.prod(self.shape), *self.options.core]

    def _head(self, outputs: int) -> list[int]:
        return [self._core[-1], *self.options.head, outputs]
