"""LeNet as in arXiv 2205.09526: convolutions with max pooling, then dense layers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Generator, nn

from distillation_bench.methods.networks.batched import Stacked
from distillation_bench.methods.networks.builder import NetworkBuilder
from distillation_bench.methods.networks.mlp import BatchedMLP, dense, perceptron
from distillation_bench.methods.networks.options import LeNetOptions

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


class LeNetBuilder(NetworkBuilder):
    """Members and cores are convolutional; heads are perceptrons on the features of the core."""

    options: LeNetOptions

    def member(self) -> nn.Module:
        options = self.options
        planes = options.scaled(options.member)
        widths = [planes[-1] * SIDE**2, *options.scaled(options.dense)]
        last = nn.Linear(widths[-1], self.outputs)
        return nn.Sequential(*convolutions(self.shape[0], planes), *dense(widths), last)

    def core_layers(self, shape: tuple[int, ...]) -> Sequence[nn.Module]:
        return convolutions(shape[0], self.options.scaled(self.options.core))

    def head_layers(self, outputs: int) -> Sequence[nn.Module]:
        return perceptron(self._head(outputs))

    def heads(self, count: int, generator: Generator, outputs: int | None = None) -> Stacked:
        return BatchedMLP(self._head(outputs or self.outputs), [generator] * count)

    def _head(self, outputs: int) -> list[int]:
        core, head = map(self.options.scaled, (self.options.core, self.options.head))
        return [core[-1] * SIDE**2, *head, outputs]
