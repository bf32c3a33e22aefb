"""Students: a core with heads, dropout before the last layer, or a Gaussian last layer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Generator, Tensor, nn

from distillation_bench.methods.networks.batched import Stacked
from distillation_bench.methods.networks.builder import NetworkBuilder
from distillation_bench.methods.networks.mlp import BatchedLinear, affine

__all__ = ["CoreAndHeads", "DropoutLast", "GaussianLast", "core_and_heads"]


class CoreAndHeads(nn.Module):
    """A shared core with S heads; a forward pass returns the outputs of all heads, [S, B, K]."""

    def __init__(self, core: nn.Module, heads: Stacked) -> None:
        super().__init__()
        self.core = core
        self.heads = heads

    @property
    def shared(self) -> nn.Module:
        """The part that all outputs share; one pass of it is enough."""
        return self.core

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.heads(self.core(x))
        return outputs


class JoinedHeads(Stacked):
    """Heads of several modules as one: the parts' outputs [S, B, K], one after another."""

    def __init__(self, parts: Sequence[Stacked]) -> None:
        super().__init__()
        self.joined = parts
        self.parts = nn.ModuleList(parts)
        self.count = sum(part.count for part in parts)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([part(x) for part in self.joined])

    def rows(self) -> Iterator[Tensor]:
        for layers in zip(*(part.rows() for part in self.joined), strict=True):
            yield torch.cat(layers)


def core_and_heads(
    networks: NetworkBuilder, heads: int, generator: Generator, outputs: int | None = None
) -> CoreAndHeads:
    """Return a student with a shared core; with one head it is a plain network.

    Args:
        networks: builds the core and the heads, as `Setting.networks`.
        heads: their number.
        generator: for the initial weights.
        outputs: of each head; by default the dataset's, K.
    """
    return CoreAndHeads(networks.core(generator), networks.heads(heads, generator, outputs))


def rows(student: nn.Module) -> Iterator[Tensor]:
    """Yield the weights and biases of each layer of the heads, [S, outputs, inputs]."""
    assert isinstance(student, CoreAndHeads)
    return student.heads.rows()


def shared_part(student: nn.Module) -> nn.Module | None:
    """Return the part that all outputs of a student share; None for an ensemble.

    It is the student's attribute `shared`, a module that takes the student's inputs [B, ...].
    """
    shared: nn.Module | None = getattr(student, "shared", None)
    return shared


def random_bits(shape: tuple[int, ...], generator: Generator, device: torch.device) -> Tensor:
    """Return uniform int16 of a shape; four times as fast as uniform floats."""
    count = math.prod(shape)
    bits = torch.empty(-(-count // 4), dtype=torch.int64, device=device)
    return bits.random_(-(2**63), None, generator=generator).view(torch.int16)[:count].view(shape)


class DropoutLast(nn.Module):
    """Inverted dropout before the last layer, always on.

    Gal & Ghahramani 2016 (arXiv 1506.02142), with dropout before the last layer alone as in
    arXiv 2205.09526, so that S samples need one pass of the trunk. 16 random bits decide on each
    feature, so the rate is a multiple of 2⁻¹⁶, below 1.
    """

    def __init__(self, networks: NetworkBuilder, rate: float, generator: Generator) -> None:
        super().__init__()
        self.rate = min(round(rate * 2**16), 2**16 - 1) / 2**16
        self.trunk, width = networks.trunk(generator)
        self.last = BatchedLinear(width, networks.outputs, [generator])

    @property
    def shared(self) -> nn.Module:
        """The part that all outputs share; one pass of it is enough."""
        return self.trunk

    def forward(
        self, x: Tensor, samples: int, generator: Generator, shared: bool = False
    ) -> Tensor:
        """[B, ...] -> [samples, B, K].

        Masks are independent for each sample and example or, if shared, for each sample alone.
        """
        features: Tensor = self.trunk(x).mT
        shape = (samples, features.shape[1], 1 if shared else features.shape[2])
        mask = random_bits(shape, generator, x.device).float().ge_((self.rate - 0.5) * 2**16)
        dropped = features / (1 - self.rate) * mask
        weight = self.last.weight.expand(samples, -1, -1)
        return affine(weight, self.last.bias, dropped).mT


class GaussianLast(nn.Module):
    """A last layer with a Gaussian over each weight, sampled by local reparameterisation.

    Kingma et al. 2015 (arXiv 1506.02557): activations are drawn from N(x μ, x² σ²) for
    each example and sample. The prior of each weight is N(0, 1).
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
        """The part that all outputs share; one pass of it is enough."""
        return self.trunk

    def forward(
        self, x: Tensor, samples: int, generator: Generator, shared: bool = False
    ) -> Tensor:
        """[B, ...] -> [samples, B, K]; if shared, each sample of the weights is that of a batch."""
        features: Tensor = self.trunk(x).mT
        if shared:
            weight, bias = self._sampled(samples, generator)
            return affine(weight, bias, features.expand(samples, -1, -1)).mT
        mean: Tensor = self.last(features)
        weight, bias = (log_variance.exp() for log_variance in self.log_variances)
        deviation = affine(weight, bias, features.square()).sqrt()
        shape = (samples, *mean.shape[1:])
        noise = torch.randn(shape, generator=generator, device=mean.device)
        return (mean + deviation * noise).mT

    def _sampled(self, samples: int, generator: Generator) -> Iterator[Tensor]:
        """Yield samples of the weights and of the biases, [samples, ...]."""
        for mean, log_variance in zip(self.last.parameters(), self.log_variances, strict=True):
            shape = (samples, *mean.shape[1:])
            noise = torch.randn(shape, generator=generator, device=mean.device)
            yield mean + (log_variance / 2).exp() * noise

    def posterior(self) -> Iterator[nn.Parameter]:
        """Yield the parameters of the distribution over weights."""
        yield from self.last.parameters()
        yield from self.log_variances

    def divergence(self) -> Tensor:
        """Return KL(distribution over weights ‖ N(0, 1)), in nats."""
        total = torch.zeros((), device=self.last.weight.device)
        for mean, log_variance in zip(self.last.parameters(), self.log_variances, strict=True):
            parts = log_variance.exp() + mean.square() - 1 - log_variance
            total = total + 0.5 * parts.sum()
        return total
