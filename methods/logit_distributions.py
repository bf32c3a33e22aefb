"""Gaussian and Laplace distributions over the outputs of members.

Logits matter up to a constant that is the same for all classes. In the gauge "centred" they are
modelled up to that constant; in "last", as differences to the last class; in "log-softmax", as
logarithms of probabilities. Members of a regression have a mean and a log variance instead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from distillation_bench.methods.predictions import smoothed

Gauge = Literal["centred", "last", "log-softmax", "none"]
"""How logits are made unique; none for the outputs of a regression."""


def gauge_of(gauge: Gauge, task: str) -> Gauge:
    """Return the gauge of the members' outputs in a task: none in regression."""
    return gauge if task == "classification" else "none"


def gauged(outputs: Tensor, gauge: Gauge, smoothing: float = 0.0) -> Tensor:
    """Return the coordinates [..., D] of outputs [..., K]; D is K − 1 for "last", else K.

    Args:
        outputs: logits, or means and log variances.
        gauge: how logits are made unique.
        smoothing: ε; the coordinates are those of probabilities (1 − ε) p + ε/K.
    """
    if gauge == "none":
        return outputs
    log_p = smoothed(functional.log_softmax(outputs, -1), smoothing)
    if gauge == "centred":
        return log_p - log_p.mean(-1, keepdim=True)
    return log_p[..., :-1] - log_p[..., -1:] if gauge == "last" else log_p


def outputs_of(coordinates: Tensor, gauge: Gauge) -> Tensor:
    """Return outputs [..., K] with the given coordinates."""
    return functional.pad(coordinates, (0, 1)) if gauge == "last" else coordinates


def location_and_scale(coordinates: Tensor) -> dict[str, Tensor]:
    """Return mean and standard deviation [D] of coordinates [..., D]; 1 where they are equal."""
    flat = coordinates.flatten(0, -2)
    scale = flat.std(0, correction=0)
    return {"location": flat.mean(0), "scale": torch.where(scale > 0, scale, 1.0)}


@dataclass(frozen=True)
class Gaussians:
    """Independent for each of B inputs: N(μ, diag(v) + F Fᵀ).

    Attributes:
        location: μ [B, D].
        variance: v [B, D].
        factors: F [B, D, R].
        constant: whether coordinates matter only up to a constant. Then the density is that of
            centred coordinates, in D − 1 dimensions.
    """

    location: Tensor
    variance: Tensor
    factors: Tensor
    constant: bool = False

    @classmethod
    def of(
        cls, raw: Tensor, location: Tensor, scale: Tensor, floor: float, constant: bool
    ) -> Gaussians:
        """Return the distributions that a network's outputs stand for.

        Args:
            raw: [B, 2 + R, D].
            location, scale: of the coordinates [D].
            floor: the least variance.
            constant: see above.
        """
        variance = scale.square() * functional.softplus(raw[:, 1]) + floor
        return cls(location + scale * raw[:, 0], variance, (scale * raw[:, 2:]).mT, constant)

    @property
    def dimensions(self) -> int:
        """The number of standard normal numbers that a draw needs."""
        return sum(self.factors.shape[1:])

    def nll(self, x: Tensor) -> Tensor:
        """Return the mean negative log-density of x [M, B, D].

        By the formulas of Woodbury and of the determinant, with F Fᵀ of low rank. An unknown
        constant is one more column of F, all ones, with infinite variance: its prior precision is
        0 where that of the others is 1.
        """
        columns, precisions = self._columns()
        deviation = x - self.location
        weighted = columns / self.variance[..., None]
        inner = columns.mT @ weighted + torch.diag_embed(precisions)
        # `cholesky` would wait for the device to look for errors.
        root = torch.linalg.cholesky_ex(inner).L
        projected = torch.einsum("bdr,mbd->brm", weighted, deviation)
        solved = torch.linalg.solve_triangular(root, projected, upper=False)
        squares = (deviation.square() / self.variance).sum(-1).mean(0)
        squares = squares - solved.square().sum(1).mean(-1)
        log_determinant = self.variance.log().sum(-1) + 2 * root.diagonal(0, -2, -1).log().sum(-1)
        nll: Tensor = 0.5 * (squares + log_determinant).mean() + self._constant_term()
        return nll

    def _columns(self) -> tuple[Tensor, Tensor]:
        """Return F, with a column of ones if there is an unknown constant, and precisions [R]."""
        precisions = self.location.new_ones(self.factors.shape[-1])
        if not self.constant:
            return self.factors, precisions
        ones = torch.ones_like(self.location)[..., None]
        return torch.cat([self.factors, ones], -1), functional.pad(precisions, (0, 1))

    def _constant_term(self) -> float:
        dimensions = self.location.shape[-1]
        if self.constant:
            return 0.5 * ((dimensions - 1) * math.log(2 * math.pi) - math.log(dimensions))
        return 0.5 * dimensions * math.log(2 * math.pi)

    def draw(self, uniform: Tensor) -> Tensor:
        """Return a draw [S, B, D] for each of S points [S, dimensions] within (0, 1)."""
        normal = torch.special.ndtri(uniform).to(self.location.dtype)
        size = self.location.shape[-1]
        own, common = normal[:, None, :size], normal[:, size:]
        spread = torch.einsum("bdr,sr->sbd", self.factors, common)
        draws: Tensor = self.location + self.variance.sqrt() * own + spread
        return draws


@dataclass(frozen=True)
class Laplaces:
    """Independent for each input and coordinate: exp(−|x − μ|/b) / 2b.

    Attributes:
        location: μ [B, D].
        scale: b [B, D].
    """

    location: Tensor
    scale: Tensor

    @classmethod
    def of(cls, raw: Tensor, location: Tensor, scale: Tensor, floor: float) -> Laplaces:
        """Return the distributions that a network's outputs [B, 2, D] stand for."""
        spread = scale * functional.softplus(raw[:, 1]) + floor
        return cls(location + scale * raw[:, 0], spread)

    @property
    def dimensions(self) -> int:
        """The number of uniform numbers that a draw needs."""
        return self.location.shape[-1]

    def nll(self, x: Tensor) -> Tensor:
        """Return the mean negative log-density of x [M, B, D]."""
        terms = (x - self.location).abs() / self.scale + (2 * self.scale).log()
        return terms.sum(-1).mean()

    def draw(self, uniform: Tensor) -> Tensor:
        """Return a draw [S, B, D] for each of S points [S, dimensions] within (0, 1)."""
        centred = uniform - 0.5
        standard = -centred.sign() * (-2 * centred.abs()).log1p()
        return self.location + self.scale * standard.to(self.location.dtype)[:, None]
