"""A Gaussian factor model of functions, f(x) = μ(x) + L Z Φ(x) + σ ε; a network gives μ and Φ.

Z [K, q] and ε [K] are standard normal; Z is drawn once for a function, ε for each of its values.
Park et al. 2025 (arXiv 2510.19290).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from distillation_bench.methods.networks.heads import CoreAndHeads
from distillation_bench.methods.predictions import smoothed


class Posterior(NamedTuple):
    """The normal distribution of D factors of M functions, given their values in G groups.

    Attributes:
        mean: [G, D, M].
        covariance: [G, D, D], the same for all functions.
    """

    mean: Tensor
    covariance: Tensor


@dataclass(frozen=True)
class FactorModel:
    """The model at B inputs, in float64.

    Attributes:
        mean: μ [B, K].
        features: Φ [B, q].
        mixing: L [K, K].
        noise: σ², [].
        degrees: dimensions of the space of values, K, or K − 1 if they sum to 0.
    """

    mean: Tensor
    features: Tensor
    mixing: Tensor
    noise: Tensor
    degrees: int

    def functions(self, z: Tensor) -> Tensor:
        """Return μ + L z Φ, [S, B, K], of factors z [S, K, q]."""
        return self.mean + torch.einsum("kj,sjq,bq->sbk", self.mixing, z, self.features)

    def complete_loss(self, values: Tensor, z: Tensor) -> Tensor:
        """Return −ln p(f | z), per value and without its constant.

        Args:
            values: f of M functions [M, B, K].
            z: their factors [M, K, q].
        """
        return self._loss((values - self.functions(z)).square().sum(), len(values))

    @torch.no_grad()
    def posterior(self, values: Tensor, pointwise: bool) -> Posterior:
        """Return the E-step: the distribution of the factors of M functions.

        Args:
            values: of the functions [M, B, K].
            pointwise: whether it is given the value at a single input, for each input, and not all
                values. A value depends on L Z Φ/|Φ| alone, K normal factors for each input.
        """
        gram, cross, _ = self._statistics(values, pointwise)
        identity = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
        # Without a check of success, which would wait for the device.
        root, _ = torch.linalg.cholesky_ex(identity + gram / self.noise)
        covariance = torch.cholesky_inverse(root)
        return Posterior(covariance @ cross / self.noise, covariance)

    def expected_loss(self, values: Tensor, posterior: Posterior, pointwise: bool) -> Tensor:
        """Return −Q, the mean of `complete_loss` over a posterior, for the M-step.

        Args:
            values: of the functions [M, B, K].
            posterior: of their factors.
            pointwise: as in `posterior`.
        """
        gram, cross, squares = self._statistics(values, pointwise)
        mean, covariance = posterior
        second = len(values) * covariance + mean @ mean.mT
        error = squares - 2 * (cross * mean).sum() + (gram * second).sum()
        return self._loss(error, len(values))

    def _loss(self, error: Tensor, functions: int) -> Tensor:
        count = functions * len(self.mean) * self.degrees
        return 0.5 * (error / (self.noise * count) + self.noise.log())

    def _statistics(self, values: Tensor, pointwise: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Return AᵀA [G, D, D], Aᵀr [G, D, M] and Σ|r|², for r = f − μ = A z + σ ε."""
        residuals = values - self.mean
        mixed, squares = self.mixing.mT @ self.mixing, residuals.square().sum()
        if pointwise:
            length = self.features.norm(dim=-1)[:, None, None]
            cross = length * (residuals @ self.mixing).permute(1, 2, 0)
            return length.square() * mixed, cross, squares
        gram = torch.kron(mixed, self.features.mT @ self.features)
        cross = torch.einsum("mbk,kj,bq->jqm", residuals, self.mixing, self.features)
        return gram[None], cross.flatten(0, 1)[None], squares


class FactorNetwork(nn.Module):
    """A network with outputs μ and Φ, the other parameters of the model, and S draws of Z.

    Args:
        network: with K + q outputs.
        shape: of the draws, S, K and q.
        centred: whether values sum to 0 over K.
        floor: what is added to σ².
        generator: for the draws.
    """

    draws: Tensor

    def __init__(
        self,
        network: CoreAndHeads,
        shape: tuple[int, int, int],
        centred: bool,
        floor: float,
        generator: Generator,
    ) -> None:
        super().__init__()
        self.network = network
        self.centred, self.floor = centred, floor
        self.mixing = nn.Parameter(torch.eye(shape[1]))
        self.log_noise = nn.Parameter(torch.zeros(()))
        self.register_buffer("draws", torch.randn(shape, generator=generator))

    @property
    def shared(self) -> nn.Module:
        """The part that all outputs share; one pass of it is enough."""
        return self.network

    def forward(self, x: Tensor) -> Tensor:
        """[B, ...] -> [1, B, K + q]."""
        outputs: Tensor = self.network(x)
        return outputs

    def model(self, outputs: Tensor) -> FactorModel:
        """Return the model at the inputs whose outputs [1, B, K + q] are given."""
        width = len(self.mixing)
        mean, features = outputs[0].double().tensor_split([width], dim=-1)
        mixing = self.mixing.double().tril()
        if self.centred:
            mean, mixing = centred(mean), mixing - mixing.mean(0)
        noise = self.floor + self.log_noise.double().exp()
        return FactorModel(mean, features, mixing, noise, width - self.centred)

    def values(self, teacher: Tensor, smoothing: float) -> Tensor:
        """Return the values of members whose outputs [M, B, K] are given.

        Values that sum to 0 are the centred logits of (1 − ε) softmax(t) + ε/K.

        Args:
            teacher: t.
            smoothing: ε.
        """
        if not self.centred:
            return teacher.double()
        return centred(smoothed(teacher.double().log_softmax(-1), smoothing))

    def sampled(self, x: Tensor, z: Tensor, generator: Generator | None = None) -> Tensor:
        """Return values [S, B, K] of functions with factors z [S, K, q].

        Args:
            x: inputs [B, ...].
            z: factors.
            generator: for σ ε; None: without it.
        """
        model = self.model(self(x))
        functions = model.functions(z.double()).float()
        if generator is None:
            return functions
        noise = torch.randn(functions.shape, generator=generator, device=x.device)
        return functions + model.noise.sqrt().float() * noise


class FreeFactors(nn.Module):
    """A student with a parameter in place of the factors of each of M members, z [M, K, q]."""

    def __init__(self, student: FactorNetwork, members: int, generator: Generator) -> None:
        super().__init__()
        self.student = student
        shape = (members, *student.draws.shape[1:])
        self.z = nn.Parameter(torch.randn(shape, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        """[B, ...] -> [1, B, K + q]."""
        outputs: Tensor = self.student(x)
        return outputs

    def factors(self) -> Tensor:
        """Return z [M, K, q], whose mean over members is 0."""
        return (self.z - self.z.mean(0)).double()


def centred(values: Tensor) -> Tensor:
    """Return values [..., K] minus their mean over K."""
    return values - values.mean(-1, keepdim=True)
