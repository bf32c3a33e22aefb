"""Multiplications of a forward pass, by family of networks and its options; without torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from distillation_bench.bench.planning.plugins.source_files import is_of_suite
from distillation_bench.methods.networks.options import (
    LeNetOptions,
    MLPOptions,
    NetworkOptions,
    ResNetOptions,
    WideResNetOptions,
)

LENET_SIDE = 4
"""Height and width of the planes that LeNet's linear layers see."""
WIDE_STEM = 16
"""Planes of a wide network's first convolution."""
Planes = Sequence[int]


def forward_products(
    options: NetworkOptions, shape: Sequence[int], outputs: int
) -> tuple[int, int, int] | None:
    """Return the multiplications of one input's pass through a member, a core and a head.

    A plugin's networks may say them; None if they do not.

    Args:
        options: of the family of networks.
        shape: of an input, [C, H, W] for images.
        outputs: of the member and the head.
    """
    match options:
        # Options that a plugin derives from these are those of other networks.
        case _ if not is_of_suite(type(options).__module__):
            return options.products(shape, outputs)
        case MLPOptions():
            return _mlp(options, shape, outputs)
        case LeNetOptions():
            return _lenet(options, shape, outputs)
        case WideResNetOptions():
            return _wide_resnet(options, shape, outputs)
        case _:
            assert isinstance(options, ResNetOptions)
            return _resnet(options, shape, outputs)


def _mlp(options: MLPOptions, shape: Sequence[int], outputs: int) -> tuple[int, int, int]:
    inputs = math.prod(shape)
    core = [inputs, *options.core]
    member, head = [inputs, *options.member, outputs], [core[-1], *options.head, outputs]
    return _linear_layers(member), _linear_layers(core), _linear_layers(head)


def _linear_layers(widths: Sequence[int]) -> int:
    return sum(inputs * outputs for inputs, outputs in pairwise(widths))


def _lenet(options: LeNetOptions, shape: Sequence[int], outputs: int) -> tuple[int, int, int]:
    channels, height, width = shape

    def convolutions(planes: Planes) -> int:
        pairs = enumerate(pairwise([channels, *planes]))
        return sum(9 * a * b * (height >> depth) * (width >> depth) for depth, (a, b) in pairs)

    member, core = options.scaled(options.member), options.scaled(options.core)
    dense, head = options.scaled(options.dense), options.scaled(options.head)
    member_layers = _linear_layers([member[-1] * LENET_SIDE**2, *dense, outputs])
    head_layers = _linear_layers([core[-1] * LENET_SIDE**2, *head, outputs])
    return convolutions(member) + member_layers, convolutions(core), head_layers


def _residual_stages(
    inputs: int, planes: Planes, blocks: int, pixels: float, stride: int
) -> tuple[int, float]:
    """Return the multiplications of residual stages, and the pixels of their last planes."""
    total = 0.0
    for outputs in planes:
        pixels /= stride**2
        total += (9 * inputs * outputs + 9 * outputs**2) * pixels
        total += inputs * outputs * pixels * (stride > 1 or inputs != outputs)
        total += (blocks - 1) * 18 * outputs**2 * pixels
        inputs, stride = outputs, 2
    return int(total), pixels


def _resnet(options: ResNetOptions, shape: Sequence[int], outputs: int) -> tuple[int, int, int]:
    channels, height, width = shape
    member, core, head = map(options.scaled, (options.member, options.core, options.head))

    def first_stages(planes: Planes) -> tuple[int, float]:
        total, pixels = _residual_stages(planes[0], planes, options.blocks, height * width, 1)
        return total + 9 * channels * planes[0] * height * width, pixels

    core_products, pixels = first_stages(core)
    head_products = _residual_stages(core[-1], head, options.blocks, pixels, 2)[0]
    head_products += [*core, *head][-1] * outputs
    return first_stages(member)[0] + member[-1] * outputs, core_products, head_products


def _wide_resnet(
    options: WideResNetOptions, shape: Sequence[int], outputs: int
) -> tuple[int, int, int]:
    channels, height, width = shape
    blocks = (options.depth - 4) // 6
    planes = [WIDE_STEM * options.widen * factor for factor in (1, 2, 4)]
    stages, pixels = _residual_stages(WIDE_STEM, planes[:2], blocks, height * width, 1)
    core = stages + 9 * channels * WIDE_STEM * height * width
    head = _residual_stages(planes[1], planes[2:], blocks, pixels, 2)[0] + planes[-1] * outputs
    return core + head, core, head
