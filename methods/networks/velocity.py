"""The velocity of a flow as a residual perceptron, and a student that has one."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from distillation_bench.methods.flow import preconditioning
from distillation_bench.methods.networks.batched import initialised
from distillation_bench.methods.networks.builder import NetworkBuilder
from distillation_bench.methods.networks.frozen import Frozen
from distillation_bench.methods.networks.heads import CoreAndHeads
from distillation_bench.methods.networks.mlp import BatchedMLP

TIMES = 32
"""Sines and cosines of a time."""


def time_features(t: Tensor) -> Tensor:
    """Return sines and cosines [..., 32] of τ = ln(1000 (1 − t))/4 at frequencies from 1 to 1e-4.

    Args:
        t: times [...] below 1.
    """
    frequencies = torch.logspace(0, -4, TIMES // 2 + 1, device=t.device)[:-1]
    angles = ((1000 * (1 - t)).log() / 4)[..., None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], -1)


class _Block(nn.Module):
    """A layer whose normalised input is scaled and shifted, and whose output is gated, by time."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.modulation = nn.Linear(TIMES, 2 * inputs + outputs)
        self.layer = nn.Linear(inputs, outputs)
        self.residual = inputs == outputs
        nn.init.zeros_(self.modulation.weight)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        inputs = x.shape[-1]
        modulation = functional.silu(self.modulation(time))
        scale, shift = modulation[..., :inputs], modulation[..., inputs : 2 * inputs]
        normal = functional.layer_norm(x, (inputs,))
        y = functional.gelu(self.layer(normal * (1 + scale) + shift))
        return x + modulation[..., 2 * inputs :] * y if self.residual else y


class _Layers(nn.Module):
    """Blocks and a linear layer: [..., inputs] at time features [..., 32] -> [..., outputs]."""

    def __init__(self, inputs: int, width: int, blocks: int, outputs: int) -> None:
        super().__init__()
        widths = [inputs, *[width] * blocks]
        self.blocks = nn.ModuleList(map(_Block, widths[:-1], widths[1:]))
        self.last = nn.Linear(width, outputs)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x, time)
        output: Tensor = self.last(x)
        return output


class Velocity(nn.Module):
    """v(h, t) given features: c_skip h + c_out F(c_in h, features, t), with a network F.

    Args:
        size: D, of h.
        features: their number.
        width: of the hidden layers.
        blocks: hidden layers.
        noise: σ, the standard deviation of h at time 0.
        generator: for the initial weights.
    """

    def __init__(
        self, size: int, features: int, width: int, blocks: int, noise: float, generator: Generator
    ) -> None:
        super().__init__()
        self.size, self.features, self.noise = size, features, noise
        inputs = size + features
        self.layers = initialised(lambda: _Layers(inputs, width, blocks, size), generator)

    def forward(self, h: Tensor, t: Tensor, features: Tensor) -> Tensor:
        """Return velocities [..., B, D].

        Args:
            h: [..., B, D].
            t: times, of a shape that broadcasts to [..., B].
            features: of the inputs [B, F].
        """
        skip, out, into = (c[..., None] for c in preconditioning(t, self.noise))
        features = features.expand(*h.shape[:-1], -1)
        inner = self.layers(torch.cat([into * h, features], -1), time_features(t))
        velocity: Tensor = skip * h + out * inner
        return velocity


class FeaturesAndVelocity(nn.Module):
    """A trunk whose features [1, B, F] condition a velocity; a pass returns the features."""

    def __init__(self, trunk: nn.Module, velocity: Velocity) -> None:
        super().__init__()
        self.trunk = trunk
        self.velocity = velocity

    @classmethod
    def of(
        cls, networks: NetworkBuilder, width: int, blocks: int, noise: float, generator: Generator
    ) -> FeaturesAndVelocity:
        """Return an untrained trunk and the velocity of its K outputs; see `Velocity`."""
        trunk, features = networks.trunk(generator)
        size = networks.outputs
        return cls(trunk, Velocity(size, features, width, blocks, noise, generator))

    def with_head(self, outputs: int, generator: Generator) -> CoreAndHeads:
        """Return the trunk with a linear layer [1, B, outputs] instead of the velocity."""
        return CoreAndHeads(self.trunk, BatchedMLP([self.velocity.features, outputs], [generator]))

    def frozen(self) -> FeaturesAndVelocity:
        """Return the same, with the velocity as all that is trained."""
        return FeaturesAndVelocity(Frozen(self.trunk), self.velocity)

    @property
    def shared(self) -> nn.Module:
        """The part that all samples share; one pass of it is enough."""
        return self.trunk

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.trunk(x)
        return features
