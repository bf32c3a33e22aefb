"""The builder of each family of networks."""

from __future__ import annotations

from collections.abc import Callable

from distillation_bench.methods.networks.builder import NetworkBuilder
from distillation_bench.methods.networks.lenet import LeNetBuilder
from distillation_bench.methods.networks.mlp import MLPBuilder
from distillation_bench.methods.networks.resnet import ResNetBuilder
from distillation_bench.methods.networks.wide_resnet import WideResNetBuilder

FAMILIES: dict[str, Callable[..., NetworkBuilder]] = {
    "mlp": MLPBuilder,
    "lenet": LeNetBuilder,
    "resnet": ResNetBuilder,
    "resnet18": ResNetBuilder,
    "wide-resnet": WideResNetBuilder,
}
"""The builder by family; its arguments are options, the shape of an input, and the outputs."""
