"""Predictive distributions behind one interface: what every metric is computed from.

All in float64. Uncertainties in nats for classes (entropies and mutual information), as variances
for regression. Total = aleatoric + epistemic for each kind.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn import functional

# Gradients grow with α: beyond exp(30) the square of their norm leaves float32.
__all__ = ["Categorical", "Dirichlet", "GaussianMixture", "Prediction", "Samples"]

LOG_CONCENTRATION_LIMIT = 30.0


def entropy(log_probabilities: Tensor) -> Tensor:
    """Entropy in nats over the last axis; 0 ln 0 is 0."""
    terms: Tensor = torch.special.entr(log_probabilities.exp())
    return terms.sum(-1)


def log_softmax(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """ln softmax(logits / T) [S, N, C]."""
    # Across examples, which torch does several numbers at a time; few classes alone it does not.
    return functional.log_softmax(logits.mT / temperature, dim=-2).mT


class Prediction(ABC):
    """A predictive distribution for each of N examples.

    Attributes:
        total, aleatoric, epistemic: uncertainties [N].
        scores: further uncertainty scores by name [N], high for unfamiliar inputs.
    """

    total: Tensor
    aleatoric: Tensor
    epistemic: Tensor
    scores: dict[str, Tensor]

    @property
    @abstractmethod
    def mean(self) -> Tensor:
        """Class probabilities [N, C], or the mean [N]."""

    @abstractmethod
    def log_prob(self, y: Tensor) -> Tensor:
        """Log-probability or log-density of targets [N]; minus infinity is not clipped."""


class Categorical(Prediction):
    """A distribution over classes with ln of its mean, `log_mean` [N, C].

    `log_members` [S, N, C] are the equal parts that it is the mean of, None if there are none.
    """

    log_mean: Tensor
    log_members: Tensor | None = None

    @property
    def mean(self) -> Tensor:
        return self.log_mean.exp()

    def log_prob(self, y: Tensor) -> Tensor:
        return self.log_mean.gather(-1, y[:, None])[:, 0]


class Samples(Categorical):
    """The equal mixture of S softmax distributions given by logits [S, N, C]; S = 1 is a point.

    Total is the entropy of the mean, aleatoric the mean entropy, epistemic their difference, the
    mutual information, as the plug-in estimate: about (1 − 1/S) of its value at infinite S.
    """

    def __init__(self, logits: Tensor) -> None:
        self.log_members = functional.log_softmax(logits.double(), dim=-1)
        self.log_mean = self.log_members.logsumexp(0) - math.log(len(logits))
        self.total = entropy(self.log_mean)
        self.aleatoric = entropy(self.log_members).mean(0)
        self.epistemic = (self.total - self.aleatoric).clamp(min=0)
        self.scores = {}


def _digamma_excess(log_x: Tensor) -> Tensor:
    """g(x) = ψ(x + 1) − ln x, above 0; by its series 1/2x − 1/12x² where the difference is small.

    (Abramowitz & Stegun 6.3.18; the next term, 1/120x⁴, is below 1e-18 of it from x = 1e4 on.)
    """
    x = log_x.clamp(max=math.log(1e4)).exp()
    inverse = (-log_x).clamp(max=-math.log(1e4)).exp()
    series = inverse / 2 - inverse.square() / 12
    return torch.where(log_x > math.log(1e4), series, (x + 1).digamma() - log_x)


class Dirichlet(Categorical):
    """Dirichlet with concentrations α = exp(log_concentration) [N, C], in closed form.

    Malinin et al. 2020 (arXiv 1905.00076), section 2; epistemic is the mutual information.
    """

    def __init__(self, log_concentration: Tensor) -> None:
        exact = log_concentration.double()
        log_precision = exact.logsumexp(-1, keepdim=True)
        self.log_mean = functional.log_softmax(exact, dim=-1)
        self.total = entropy(self.log_mean)
        # Σ π [g(α) − g(α₀)]: total − aleatoric would lose a small one to rounding.
        gap = _digamma_excess(exact) - _digamma_excess(log_precision)
        self.epistemic = (self.log_mean.exp() * gap).sum(-1).clamp(min=0)
        self.aleatoric = (self.total - self.epistemic).clamp(min=0)
        self.scores = {"precision": -log_precision[:, 0]}


class GaussianMixture(Prediction):
    """The equal mixture of S Gaussians, means and log variances [S, N].

    Total is the mixture's variance, aleatoric the mean variance, epistemic the variance of means.
    """

    def __init__(self, means: Tensor, log_variances: Tensor) -> None:
        self.means, self.log_variances = means.double(), log_variances.double()
        self.variances = self.log_variances.exp()
        self.aleatoric = self.variances.mean(0)
        self.epistemic = self.means.var(0, correction=0)
        self.total = self.aleatoric + self.epistemic
        self.scores = {}

    @property
    def mean(self) -> Tensor:
        return self.means.mean(0)

    def log_prob(self, y: Tensor) -> Tensor:
        error = (y.double() - self.means).square() / self.variances
        parts = -0.5 * (error + self.log_variances + math.log(2 * math.pi))
        return parts.logsumexp(0) - math.log(len(parts))
