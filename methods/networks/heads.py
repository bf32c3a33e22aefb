"""Students' ends: many heads, dropout before the last layer, a Gaussian last layer."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Generator, Tensor, nn

from distillation_bench.methods.networks.batched import Stacked
from distillation_bench.methods.networks.builder import NetworkBuilder
from distillation_bench.methods.networks.mlp import BatchedLinear, affine

__all__ = ["CoreAndHeads", "DropoutLast", "GaussianLast", "core_and_heads"]


class CoreAndHeads(nn.Module):
    """A shared core with S heads: one pass gives all heads, [S, B, K]."""

    def __init__(self, core: nn.Module, heads: Stacked) -> None:
        super().__init__()
        self.core = core
        self.heads = heads

    @property
    def shared(self) -> nn.Module:
        """What one pass of is enough for all outputs."""
        return self.core

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.heads(self.core(x))
        return outputs


def core_and_heads(networks: NetworkBuilder, heads: int, generator: Generator) -> CoreAndHeads:
    """A student with so many heads; with one head, the plain network."""
    return CoreAndHeads(networks.core(generator), networks.heads(heads, generator))


def rows(student: nn.Module) -> Iterator[Tensor]:
    """Of each layer of the heads weights and biases, a row per output: [S, outputs, inputs]."""
    assert isinstance(student, CoreAndHeads)
    return student.heads.rows()


def shared_part(student: nn.Module) -> nn.Module | None:
    """What all outputs of a student have in common: its attribute `shared`; an ensemble has none.

    It takes the student's inputs [B, ...].
    """
    shared: nn.Module | None = getattr(student, "shared", None)
    return shared


def random_bits(shape: tuple[int, ...], generator: Generator, device: torch.device) -> Tensor:
    """int16 of all values, in a quarter of the time of uniform numbers."""
    count = math.prod(shape)
    bits = torch.empty(-(-count // 4), dtype=torch.int64, device=device)
    return bits.random_(-(2**63), None, generator=generator).view(torch.int16)[:count].view(shape)


class DropoutLast(nn.Module):
    """Inverted dropout, always on, before the last layer: S passes of it on one pass of the trunk.

    Gal & Ghahramani 2016 (arXiv 1506.02142), with dropout in this one place as in 2205.09526.

    16 random bits decide on each feature, so the rate is a multiple of 2⁻¹⁶, below 1.
    """

    def __init__(self, networks: NetworkBuilder, rate: float, generator: Generator) -> None:
        super().__init__()
        self.rate = min(round(rate * 2**16), 2**16 - 1) / 2**16
        self.trunk, width = networks.trunk(generator)
        self.last = BatchedLinear(width, networks.outputs, [generator])

    @property
    def shared(self) -> nn.Module:
        """What one pass of is enough for all outputs."""
        return self.trunk

    def forward(self, x: Tensor, samples: int, generator: Generator) -> Tensor:
        """[B, ...] -> [samples, B, K]; masks are independent per pass and example."""
        features: Tensor = self.trunk(x).mT
        shape = (samples, *features.shape[1:])
        kept = random_bits(shape, generator, x.device).float().ge_((self.rate - 0.5) * 2**16)
        dropped = features / (1 - self.rate) * kept
        weight = self.last.weight.expand(samples, -1, -1)
        return affine(weight, self.last.bias, dropped).mT


class GaussianLast(nn.Module):
    """A last layer with a Gaussian over each weight, sampled by local reparameterisation.

    Kingma et al. 2015 (arXiv 1506.02557): a ~ N(x μ, x² σ²) per example and pass. Prior N(0, 1).
    """

    def __init__(self, networks: NetworkBuilder, log_variance: float, generator: Generator) -> None:
        super().__init__()
        self.trunk, width = networks.trunk(generator)
        self.last = BatchedLinear(width, networks.outputs, [generator])
        self.log_variances = nn.ParameterList(
            torch.full_like(parameter, log_variance) for parameter in self.last.parameters()
        )

    @property
    def shared(self) -> nn.Module:
        """What one pass of is enough for all outputs."""
        return self.trunk

    def forward(self, x: Tensor, samples: int, generator: Generator) -> Tensor:
        """[B, ...] -> [samples, B, K]."""
        features: Tensor = self.trunk(x).mT
        mean: Tensor = self.last(features)
        weight, bias = (log_variance.exp() for log_variance in self.log_variances)
        deviation = affine(weight, bias, features.square()).sqrt()
        shape = (samples, *mean.shape[1:])
        noise = torch.randn(shape, generator=generator, device=mean.device)
        return (mean + deviation * noise).mT

    def posterior(self) -> Iterator[nn.Parameter]:
        """The parameters of the weights' distribution."""
        yield from self.last.parameters()
        yield from self.log_variances

    def divergence(self) -> Tensor:
        """KL from the weights' distribution to N(0, 1), in nats."""
        total = torch.zeros((), device=self.last.weight.device)
        for mean, log_variance in zip(self.last.parameters(), self.log_variances, strict=True):
            parts = log_variance.exp() + mean.square() - 1 - log_variance
            total = total + 0.5 * parts.sum()
        return total
