"""Predictive distributions with one interface, from which every metric is computed.

All values are float64. Uncertainties are in nats for classification (entropies and mutual
information) and variances for regression. Total = aleatoric + epistemic for every distribution.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from distillation_bench.methods import credal_entropy

__all__ = [
    "Categorical",
    "CredalInterval",
    "Dirichlet",
    "GaussianMixture",
    "Prediction",
    "Samples",
    "StatedCategorical",
    "StatedGaussian",
]

LOG_CONCENTRATION_LIMIT = 30.0
"""Bound of ln α: gradients grow with α, and beyond exp(30) their squared norm leaves float32."""


def entropy(log_probabilities: Tensor) -> Tensor:
    """Return the entropy over the last axis, in nats; 0 ln 0 is 0."""
    terms: Tensor = torch.special.entr(log_probabilities.exp())
    return terms.sum(-1)


def log_softmax(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Return ln softmax(logits / T), [S, N, C]."""
    # Over the transposed tensor: torch vectorises across examples, but not over few classes.
    return functional.log_softmax(logits.mT / temperature, dim=-2).mT


def smoothed(log_p: Tensor, smoothing: float) -> Tensor:
    """Return ln((1 − ε) p + ε/C) of log-probabilities [..., C], p moved towards uniform.

    Args:
        log_p: ln p.
        smoothing: ε.
    """
    if smoothing == 0:
        return log_p
    return (log_p.exp() * (1 - smoothing) + smoothing / log_p.shape[-1]).log()


class Prediction(ABC):
    """A predictive distribution for each of N examples.

    A method may bring a kind of its own. Metrics that a kind cannot have are absent.

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
        """Class probabilities [N, C], or the mean of a regression target [N]."""

    @abstractmethod
    def log_prob(self, y: Tensor) -> Tensor:
        """Return the log-probability or log-density of targets [N]; −inf is not clipped."""

    def cdf(self, y: Tensor) -> Tensor | None:
        """Return the probability of a value of at most y [N], for regression; None if unknown."""
        return None

    def crps(self, y: Tensor) -> Tensor | None:
        """Return the continuous ranked probability score of targets [N]; None if unknown."""
        return None


class Categorical(Prediction):
    """A distribution over classes.

    Attributes:
        log_mean: its logarithm [N, C].
        log_members: the logarithms of the S distributions that it is the mean of [S, N, C]; None
            if there are none.
    """

    log_mean: Tensor
    log_members: Tensor | None = None

    @property
    def mean(self) -> Tensor:
        return self.log_mean.exp()

    def log_prob(self, y: Tensor) -> Tensor:
        return self.log_mean.gather(-1, y[:, None])[:, 0]


class Samples(Categorical):
    """The equal mixture of S softmax distributions, given by logits [S, N, C].

    Total uncertainty is the entropy of the mean, aleatoric the mean of the entropies, and epistemic
    their difference, the mutual information (Depeweg et al. 2018, arXiv 1710.07283). The plug-in
    estimate of the latter is about (1 − 1/S) of its value at infinite S; it is 0 if S = 1.
    """

    def __init__(self, logits: Tensor) -> None:
        self.log_members = functional.log_softmax(logits.double(), dim=-1)
        self.log_mean = self.log_members.logsumexp(0) - math.log(len(logits))
        self.total = entropy(self.log_mean)
        self.aleatoric = entropy(self.log_members).mean(0)
        self.epistemic = (self.total - self.aleatoric).clamp(min=0)
        self.scores = {}


def _digamma_excess(log_x: Tensor) -> Tensor:
    """Return g(x) = ψ(x + 1) − ln x > 0; for large x by its series 1/(2x) − 1/(12x²).

    Abramowitz & Stegun 6.3.18. From x = 1e4 on, where the series is used, the next term,
    1/(120x⁴), is below 1e-18.
    """
    x = log_x.clamp(max=math.log(1e4)).exp()
    inverse = (-log_x).clamp(max=-math.log(1e4)).exp()
    series = inverse / 2 - inverse.square() / 12
    return torch.where(log_x > math.log(1e4), series, (x + 1).digamma() - log_x)


class Dirichlet(Categorical):
    """A Dirichlet with concentrations α = exp(log_concentration) [N, C], in closed form.

    Malinin et al. 2020 (arXiv 1905.00076), section 2. Epistemic uncertainty is the mutual
    information of the class and the class probabilities.
    """

    def __init__(self, log_concentration: Tensor) -> None:
        exact = log_concentration.double()
        log_precision = exact.logsumexp(-1, keepdim=True)
        self.log_mean = functional.log_softmax(exact, dim=-1)
        self.total = entropy(self.log_mean)
        # Σ π [g(α) − g(α₀)], because total − aleatoric would lose a small value to rounding.
        excess = _digamma_excess(exact) - _digamma_excess(log_precision)
        self.epistemic = (self.log_mean.exp() * excess).sum(-1).clamp(min=0)
        self.aleatoric = (self.total - self.epistemic).clamp(min=0)
        self.scores = {"precision": -log_precision[:, 0]}


class StatedCategorical(Categorical):
    """One softmax distribution, of logits [N, C], with a stated epistemic uncertainty [N].

    The latter is clipped to at most the total uncertainty, the entropy; aleatoric is the rest.
    """

    def __init__(self, logits: Tensor, epistemic: Tensor) -> None:
        self.log_mean = functional.log_softmax(logits.double(), dim=-1)
        self.total = entropy(self.log_mean)
        self.epistemic = epistemic.double().clamp(min=0).minimum(self.total)
        self.aleatoric = self.total - self.epistemic
        self.scores = {}


class CredalInterval(Categorical):
    """Class probabilities, given by ln p [N, C], with an interval around each of them.

    Total uncertainty is the largest entropy of probabilities within the intervals, aleatoric the
    smallest, and epistemic their difference. Beyond 15 classes aleatoric is a lower bound of it.
    They are computed when they are read: training and latencies need the probabilities alone.

    Attributes:
        lower, upper: the intervals [N, C], clipped to [0, 1] and extended to p where they miss it,
            so that some probabilities within them sum to 1.
    """

    def __init__(self, log_mean: Tensor, lower: Tensor, upper: Tensor) -> None:
        self.log_mean = log_mean.double()
        self.lower = lower.double().minimum(self.mean).clamp(min=0)
        self.upper = upper.double().maximum(self.mean).clamp(max=1)
        self.scores = {}

    @cached_property
    def total(self) -> Tensor:  # type: ignore[override]
        return credal_entropy.largest(self.lower, self.upper)

    @cached_property
    def aleatoric(self) -> Tensor:  # type: ignore[override]
        return credal_entropy.smallest(self.lower, self.upper).minimum(self.total)

    @cached_property
    def epistemic(self) -> Tensor:  # type: ignore[override]
        return self.total - self.aleatoric


class GaussianMixture(Prediction):
    """The equal mixture of S Gaussians with means and log variances [S, N].

    Total uncertainty is the variance of the mixture, aleatoric the mean of the variances, and
    epistemic the variance of the means (Lakshminarayanan et al. 2017, arXiv 1612.01474).
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


class StatedGaussian(GaussianMixture):
    """One Gaussian, of mean and log variance [1, N], with a stated epistemic uncertainty [N].

    The latter is clipped to at most the total uncertainty, the variance; aleatoric is the rest.
    """

    def __init__(self, means: Tensor, log_variances: Tensor, epistemic: Tensor) -> None:
        super().__init__(means, log_variances)
        self.epistemic = epistemic.double().clamp(min=0).minimum(self.total)
        self.aleatoric = self.total - self.epistemic
