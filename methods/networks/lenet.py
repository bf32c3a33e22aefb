"""LeNet as in arXiv 2205.09526: convolutions with max pooling, then dense layers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Generator, nn

from distillation_bench.methods.networks.batched import Batched, Stacked
from distillation_bench.methods.networks.builder import NetworkBuilder
from distillation_bench.methods.networks.mlp import BatchedMLP
from distillation_bench.methods.networks.options import LeNetOptions
from distillation_bench.methods.networks.resnet import channels_of

SIDE = 4
"""Height and width of the last planes, after average pooling."""


def convolutions(channels: int, planes: Sequence[int]) -> list[nn.Module]:
    """Return the convolutional layers: [B, channels, H, W] -> [B, 16 planes[-1]]."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise([channels, *planes]):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.MaxPool2d(2)]
        # After the pooling, the ReLU gives the same result on a quarter of the numbers.
        layers.append(nn.ReLU(inplace=True))
    return [*layers, nn.AdaptiveAvgPool2d(SIDE), nn.Flatten()]


def dense(widths: Sequence[int]) -> list[nn.Module]:
    """Return linear layers, each followed by a ReLU."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True)]
    return layers


class LeNetBuilder(NetworkBuilder):
    """Members and cores are convolutional; heads are perceptrons on the features of the core."""

    def __init__(self, options: LeNetOptions, shape: tuple[int, ...], outputs: int) -> None:
        self.outputs = outputs
        self._batching = options.batching
        self._channels = channels_of(shape)
        self._member = options.scaled(options.member)
        self._member_dense = [self._member[-1] * SIDE**2, *options.scaled(options.dense)]
        self._core = options.scaled(options.core)
        self._head = [self._core[-1] * SIDE**2, *options.scaled(options.head)]

    def members(self, generators: Sequence[Generator]) -> nn.Module:
        def member() -> nn.Module:
            last = nn.Linear(self._member_dense[-1], self.outputs)
            layers = convolutions(self._channels, self._member)
            return nn.Sequential(*layers, *dense(self._member_dense), last)

        return Batched(member, generators, self._batching)

    def core(self, generator: Generator) -> nn.Module:
        def core() -> nn.Module:
            return nn.Sequential(*convolutions(self._channels, self._core))

        return Batched(core, [generator])

    def heads(self, count: int, generator: Generator) -> Stacked:
        return BatchedMLP([*self._head, self.outputs], [generator] * count)

    def trunk(self, generator: Generator) -> tuple[nn.Module, int]:
        def trunk() -> nn.Module:
            return nn.Sequential(*convolutions(self._channels, self._core), *dense(self._head))

        return Batched(trunk, [generator]), self._head[-1]
