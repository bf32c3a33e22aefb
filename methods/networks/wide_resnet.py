"""Wide residual networks, pre-activated (Zagoruyko & Komodakis 2016, arXiv 1605.07146)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from distillation_bench.methods.networks.builder import NetworkBuilder
from distillation_bench.methods.networks.options import WideResNetOptions
from distillation_bench.methods.networks.resnet import (
    BatchNorm,
    GlobalPool,
    convolution,
)

STEM = 16
"""Planes of the first convolution."""


class PreActivationBlock(nn.Module):
    """Normalisation, ReLU and convolution, twice, and a shortcut.

    The shortcut is the input or, if the shape changes, a 1×1 convolution of the activated input.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first_norm = BatchNorm(inputs)
        self.first = convolution(inputs, outputs, stride)
        self.second_norm = BatchNorm(outputs)
        self.second = convolution(outputs, outputs)
        changed = stride > 1 or inputs != outputs
        self.shortcut = convolution(inputs, outputs, stride, 1) if changed else None

    def forward(self, x: Tensor) -> Tensor:
        active = functional.relu_(self.first_norm(x))
        inner: Tensor = self.second(functional.relu_(self.second_norm(self.first(active))))
        return inner + (x if self.shortcut is None else self.shortcut(active))


def group(inputs: int, outputs: int, blocks: int, stride: int) -> list[nn.Module]:
    """Return the blocks of one group; the first has the stride."""
    others = [PreActivationBlock(outputs, outputs, 1) for _ in range(blocks - 1)]
    return [PreActivationBlock(inputs, outputs, stride), *others]


class WideResNetBuilder(NetworkBuilder):
    """A core is the stem and two groups; a head is the third group and a linear layer."""

    options: WideResNetOptions

    def core_layers(self, shape: tuple[int, ...]) -> Sequence[nn.Module]:
        one, two, _ = self._planes
        first, second = group(STEM, one, self._blocks, 1), group(one, two, self._blocks, 2)
        return [convolution(shape[0], STEM), *first, *second]

    def head_layers(self, outputs: int) -> Sequence[nn.Module]:
        _, two, three = self._planes
        after = [BatchNorm(three), nn.ReLU(inplace=True), GlobalPool()]
        return [*group(two, three, self._blocks, 2), *after, nn.Linear(three, outputs)]

    @property
    def _planes(self) -> list[int]:
        return [STEM * self.options.widen * factor for factor in (1, 2, 4)]

    @property
    def _blocks(self) -> int:
        """The blocks of a group."""
        return (self.options.depth - 4) // 6
