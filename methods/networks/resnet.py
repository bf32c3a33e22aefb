"""Residual networks for small images (He et al. 2015, arXiv 1512.03385), as in arXiv 2205.09526."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from distillation_bench.methods.networks.builder import NetworkBuilder
from distillation_bench.methods.networks.options import ResNetOptions

FEW_CHANNELS = 8
"""With fewer input channels, a strided 1×1 convolution is a `SubsampledConvolution`."""


def convolution(inputs: int, outputs: int, stride: int = 1, side: int = 3) -> nn.Conv2d:
    """Return a convolution without bias, because a normalisation follows it."""
    if side == 1 and stride > 1 and inputs < FEW_CHANNELS:
        return SubsampledConvolution(inputs, outputs, stride)
    return nn.Conv2d(inputs, outputs, side, stride, padding=side // 2, bias=False)


class SubsampledConvolution(nn.Conv2d):
    """A strided 1×1 convolution, computed with stride 1 on every `step`-th pixel.

    This avoids an error of torch 2.13 on processors with AVX2 but without AVX-512: the gradient of
    the kernel of a strided convolution writes beyond its memory if images have channels last and 2
    to 7 channels.
    """

    def __init__(self, inputs: int, outputs: int, step: int) -> None:
        super().__init__(inputs, outputs, 1, bias=False)
        self.step = step

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x[..., :: self.step, :: self.step])


class BatchNorm(nn.Module):
    """Batch normalisation as `torch.nn.BatchNorm2d`, without its counter of batches.

    The counter would be updated in every step, and has no effect if the momentum is fixed.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, planes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(planes))
        self.bias = nn.Parameter(torch.zeros(planes))
        self.register_buffer("running_mean", torch.zeros(planes))
        self.register_buffer("running_var", torch.ones(planes))

    def forward(self, x: Tensor) -> Tensor:
        statistics = self.running_mean, self.running_var
        return functional.batch_norm(x, *statistics, self.weight, self.bias, self.training)


class Normalised(nn.Module):
    """A convolution followed by batch normalisation."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, side: int = 3) -> None:
        super().__init__()
        self.convolution = convolution(inputs, outputs, stride, side)
        self.norm = BatchNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.norm(self.convolution(x))
        return output


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut: the input, or a 1×1 convolution if the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = Normalised(inputs, outputs, stride)
        self.second = Normalised(outputs, outputs)
        changed = stride > 1 or inputs != outputs
        self.shortcut = Normalised(inputs, outputs, stride, 1) if changed else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        inner = self.second(functional.relu_(self.first(x)))
        return functional.relu_(inner.add_(self.shortcut(x)))


class GlobalPool(nn.Module):
    """The mean over all pixels: [B, planes, H, W] -> [B, planes]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((-2, -1))


def stem(channels: int, planes: int) -> list[nn.Module]:
    """Return the first layers of a network."""
    return [Normalised(channels, planes), nn.ReLU(inplace=True)]


def stages(inputs: int, planes: Sequence[int], blocks: int, stride: int = 2) -> list[nn.Module]:
    """Return the blocks of several stages.

    Args:
        inputs: planes of the input.
        planes: of each stage.
        blocks: of each stage.
        stride: of the first stage; the others have 2.
    """
    layers: list[nn.Module] = []
    for outputs in planes:
        layers.append(BasicBlock(inputs, outputs, stride))
        layers += [BasicBlock(outputs, outputs, 1) for _ in range(blocks - 1)]
        inputs, stride = outputs, 2
    return layers


class ResNetBuilder(NetworkBuilder):
    """A member or core is a stem and stages with strides 1, 2, 2, …; a head is further stages."""

    options: ResNetOptions

    def member(self) -> nn.Module:
        planes = self.options.scaled(self.options.member)
        last = nn.Linear(planes[-1], self.outputs)
        return nn.Sequential(*self._start(self.shape[0], planes), GlobalPool(), last)

    def core_layers(self, shape: tuple[int, ...]) -> Sequence[nn.Module]:
        return self._start(shape[0], self.options.scaled(self.options.core))

    def head_layers(self, outputs: int) -> Sequence[nn.Module]:
        core, head = map(self.options.scaled, (self.options.core, self.options.head))
        body = [*stages(core[-1], head, self.options.blocks), GlobalPool()]
        return [*body, nn.Linear([*core, *head][-1], outputs)]

    def _start(self, channels: int, planes: Sequence[int]) -> list[nn.Module]:
        first = planes[0]
        return [*stem(channels, first), *stages(first, planes, self.options.blocks, stride=1)]
