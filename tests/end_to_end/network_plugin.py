"""Perceptrons with layer normalisation: the example of a plugin with a network."""

import math

from pydantic import Field
from torch import nn

from distillation_bench.methods.networks import NetworkBuilder, NetworkOptions, register_network


class NormalisedOptions(NetworkOptions):
    """Perceptrons with layer normalisation."""

    family = "normalised"

    width: int = Field(32, ge=1, description="of every hidden layer")


def hidden(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs), nn.LayerNorm(outputs), nn.ReLU()]


@register_network(NormalisedOptions)
class Normalised(NetworkBuilder):
    options: NormalisedOptions

    def core_layers(self, shape: tuple[int, ...]) -> list[nn.Module]:
        return [nn.Flatten(), *hidden(math.prod(shape), self.options.width)]

    def head_layers(self, outputs: int) -> list[nn.Module]:
        width = self.options.width
        return [*hidden(width, width), nn.Linear(width, outputs)]
