"""Which builders each family has."""

from __future__ import annotations

from collections.abc import Callable

from distillation_bench.methods.networks.base import Networks
from distillation_bench.methods.networks.lenet import LeNetNetworks
from distillation_bench.methods.networks.mlp import MLPNetworks
from distillation_bench.methods.networks.resnet import ResNetNetworks
from distillation_bench.methods.networks.wide_resnet import WideResNetNetworks

FAMILIES: dict[str, Callable[..., Networks]] = {
    "mlp": MLPNetworks,
    "lenet": LeNetNetworks,
    "resnet": ResNetNetworks,
    "resnet18": ResNetNetworks,
    "wide-resnet": WideResNetNetworks,
}
"""By name: builders from options, the shape of one input, and the number of outputs."""
