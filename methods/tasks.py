"""Classification and regression: the loss terms that methods share, and the prediction.

Outputs have the shape [S, B, K]: S heads, samples or members; B examples; K logits, or mean and
log variance of a Gaussian. All terms are means over the batch. Correctness, aggregation and
individuality are the terms L1, L2 and L3 of Ferianc & Rodrigues 2022 (arXiv 2205.09526).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from distillation_bench.methods.predictions import GaussianMixture, Prediction, Samples, log_softmax
from distillation_bench.methods.sample_distances import energy_distance


def matched(teacher: Tensor, student: Tensor) -> tuple[Tensor, Tensor]:
    """Pair members with heads: pair i of max(M, S) is member i mod M and head i mod S.

    Args:
        teacher: of the members [M, ...].
        student: of the heads [S, ...].

    Returns:
        Both with max(M, S) along the first axis.
    """
    members, heads = len(teacher), len(student)
    pairs = max(members, heads)
    if members < pairs:
        teacher = teacher[torch.arange(pairs, device=teacher.device) % members]
    if heads < pairs:
        student = student[torch.arange(pairs, device=student.device) % heads]
    return teacher, student


class TaskTerms(ABC):
    """The loss terms and the prediction of one task."""

    name: ClassVar[str]

    @abstractmethod
    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the mean negative log-likelihood of each head, [S].

        Args:
            outputs: [S, B, K].
            y: targets [B] or, different for each head, [S, B]. Classes may be given as
                probabilities, [B, C] or [S, B, C].
        """

    def correctness(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return L1, the mean over heads of their `losses` (not the loss of the heads' mean)."""
        return self.losses(outputs, y).mean()

    @abstractmethod
    def aggregation(
        self, outputs: Tensor, teacher: Tensor, temperature: float = 1.0, correction: int = 0
    ) -> Tensor:
        """Return L2, KL(mean of the members ‖ mean of the heads).

        Args:
            outputs: of the heads [S, B, K].
            teacher: outputs of the members [M, B, K].
            temperature: T of both softmaxes; classification only.
            correction: variances between members and between heads are divided by S − correction;
                0 is right for a mixture. Regression only.
        """

    @abstractmethod
    def individuality(self, outputs: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        """Return L3, the mean of KL(member ‖ head) over matched pairs.

        Args:
            outputs: of the heads [S, B, K].
            teacher: outputs of the members [M, B, K].
            temperature: T of both softmaxes; classification only.
        """

    @abstractmethod
    def points(self, outputs: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs and teacher as points, [S, B, D] and [M, B, D].

        The distance between two points says how much the predictions differ.

        Args:
            outputs: of the heads [S, B, K].
            teacher: outputs of the members [M, B, K].
        """

    def distribution(self, outputs: Tensor, teacher: Tensor) -> Tensor:
        """Return the energy distance between heads and members, which have no identity.

        It is that of their `points` on each example, and it is 0 if they have one distribution.
        Both samples are taken as independent draws: the estimate is unbiased, and may be negative.

        Args:
            outputs: of the heads [S, B, K].
            teacher: outputs of the members [M, B, K].
        """
        heads, members = (points.movedim(0, 1) for points in self.points(outputs, teacher))
        return energy_distance(heads, members, unbiased=True).mean()

    @abstractmethod
    def prediction(self, outputs: Tensor) -> Prediction:
        """Return the equal mixture of the S predictions of outputs [S, B, K]."""


def _log_mean(logits: Tensor, temperature: float) -> Tensor:
    """Return ln of the mean over S of softmax(logits / T), [B, C]."""
    return log_softmax(logits, temperature).logsumexp(0) - math.log(len(logits))


def _kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    return (log_p.exp() * (log_p - log_q)).sum(-1).mean()


class Classification(TaskTerms):
    """Outputs are logits; distributions are softmax(logits / T)."""

    name = "classification"

    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """CE(y, softmax z_s) of each head."""
        soft = y.is_floating_point()
        targets = y.expand(outputs.shape if soft else outputs.shape[:2])
        targets = targets.mT if soft else targets
        losses = functional.cross_entropy(outputs.mT, targets, reduction="none")
        return losses.mean(1)

    def aggregation(
        self, outputs: Tensor, teacher: Tensor, temperature: float = 1.0, correction: int = 0
    ) -> Tensor:
        """T² KL( mean_m softmax(t_m/T) ‖ mean_s softmax(z_s/T) )."""
        means = _log_mean(teacher, temperature), _log_mean(outputs, temperature)
        return temperature**2 * _kl(*means)

    def individuality(self, outputs: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        """(T²/K) Σ_i KL( softmax(t_i/T) ‖ softmax(z_i/T) ), K = max(M, S) matched pairs."""
        pairs = matched(log_softmax(teacher, temperature), log_softmax(outputs, temperature))
        return temperature**2 * _kl(*pairs)

    def points(self, outputs: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        """Class probabilities."""
        return log_softmax(outputs).exp(), log_softmax(teacher).exp()

    def prediction(self, outputs: Tensor) -> Prediction:
        return Samples(outputs)


LOG_VARIANCE_LIMIT = 15.0
"""Log variances are clamped to ±15.

Beyond that, sums of squared errors over variances overflow or vanish in float32. The metric
`variance_capped` measures the share of variances at the bounds.
"""


def gaussian(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and log variance [S, B] of regression outputs [S, B, 2], the latter clamped."""
    mean, log_variance = outputs.unbind(-1)
    return mean, log_variance.clamp(-LOG_VARIANCE_LIMIT, LOG_VARIANCE_LIMIT)


def moments(outputs: Tensor, correction: int = 0) -> tuple[Tensor, Tensor]:
    """Return mean and log variance [B] of the equal mixture of S Gaussians.

    Args:
        outputs: [S, B, 2].
        correction: the variance of the means is divided by S − correction: 0 is right for the
            mixture, 1 as in the original code.
    """
    mean, log_variance = gaussian(outputs)
    variance = log_variance.exp().mean(0) + mean.var(0, correction=correction)
    return mean.mean(0), variance.log()


def _gaussian_kl(p: tuple[Tensor, Tensor], q: tuple[Tensor, Tensor]) -> Tensor:
    (p_mean, p_log), (q_mean, q_log) = p, q
    ratio = (p_log - q_log).exp() + (p_mean - q_mean).square() * (-q_log).exp()
    return 0.5 * (ratio - 1 - p_log + q_log).mean()


class Regression(TaskTerms):
    """Outputs are mean and log variance of a Gaussian; temperatures are ignored."""

    name = "regression"

    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The Gaussian negative log-likelihood, including the constant ½ ln 2π."""
        mean, log_variance = gaussian(outputs)
        error = (y - mean).square() * (-log_variance).exp()
        return 0.5 * (error + log_variance + math.log(2 * math.pi)).mean(1)

    def aggregation(
        self, outputs: Tensor, teacher: Tensor, temperature: float = 1.0, correction: int = 0
    ) -> Tensor:
        """KL between Gaussians with the means and variances of the mixtures."""
        return _gaussian_kl(moments(teacher, correction), moments(outputs, correction))

    def individuality(self, outputs: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        """½[(σ_T² + (μ_T − μ_S)²)/σ_S² − 1 − ln σ_T² + ln σ_S²], KL(member ‖ head)."""
        teacher, outputs = matched(teacher, outputs)
        return _gaussian_kl(gaussian(teacher), gaussian(outputs))

    def points(self, outputs: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        """(μ/σ, ln σ²/√2), with the geometric mean over members of σ in μ/σ.

        Half the squared distance between two Gaussians of similar σ is then their KL divergence,
        whatever the scale of the targets.
        """
        deviation = (gaussian(teacher)[1].mean(0) / 2).exp()

        def points(outputs: Tensor) -> Tensor:
            mean, log_variance = gaussian(outputs)
            return torch.stack([mean / deviation, log_variance / math.sqrt(2)], -1)

        return points(outputs), points(teacher)

    def prediction(self, outputs: Tensor) -> Prediction:
        mean, log_variance = gaussian(outputs)
        return GaussianMixture(mean, log_variance)


TASKS: dict[str, TaskTerms] = {task.name: task for task in (Classification(), Regression())}
"""The terms of each task by its name."""
