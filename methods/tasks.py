"""Classification and regression: the terms that methods share, and the prediction.

Outputs have the shape [S, B, K]: S heads, samples or members; B examples; K logits, or mean and
log variance of a Gaussian. All terms are means over the batch. Correctness, aggregation and
individuality are named as in Ferianc & Rodrigues (arXiv 2205.09526), equations of L1, L2, L3.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from distillation_bench.methods.predictions import GaussianMixture, Prediction, Samples, log_softmax


def matched(teacher: Tensor, student: Tensor) -> tuple[Tensor, Tensor]:
    """Members and heads in pairs: i of max(M, S), member i mod M, head i mod S."""
    members, heads = len(teacher), len(student)
    pairs = max(members, heads)
    if members < pairs:
        teacher = teacher[torch.arange(pairs, device=teacher.device) % members]
    if heads < pairs:
        student = student[torch.arange(pairs, device=student.device) % heads]
    return teacher, student


class TaskTerms(ABC):
    """What a loss or prediction means for one kind of target."""

    name: ClassVar[str]

    @abstractmethod
    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Negative log-likelihood [S] of each head on targets y [B] or, per head, [S, B].

        Classes may be given as probabilities, [B, C] or [S, B, C] of the outputs' type.
        """

    def correctness(self, outputs: Tensor, y: Tensor) -> Tensor:
        """L1: the mean over heads of `losses`, per head and not on the mean."""
        return self.losses(outputs, y).mean()

    @abstractmethod
    def aggregation(
        self, outputs: Tensor, teacher: Tensor, temperature: float = 1.0, correction: int = 0
    ) -> Tensor:
        """L2: KL from the teacher's mean to the student's mean.

        `correction` is of variances between members and between heads, 1/(S − correction): that of
        a mixture is 0; it has a meaning in regression alone.
        """

    @abstractmethod
    def individuality(self, outputs: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        """L3: mean over matched pairs of the KL from member to head."""

    @abstractmethod
    def prediction(self, outputs: Tensor) -> Prediction:
        """The equal mixture of S predictions."""


def _log_mean(logits: Tensor, temperature: float) -> Tensor:
    """ln of the mean over S of softmax(logits / T) [B, C]."""
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

    def prediction(self, outputs: Tensor) -> Prediction:
        return Samples(outputs)


# exp(±15): beyond it float32 sums of squared errors over variances overflow or vanish. How many
# variances are there is measured (variance_capped).
LOG_VARIANCE_LIMIT = 15.0


def gaussian(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log variance [S, B] of regression outputs; the latter kept within ±15."""
    mean, log_variance = outputs.unbind(-1)
    return mean, log_variance.clamp(-LOG_VARIANCE_LIMIT, LOG_VARIANCE_LIMIT)


def moments(outputs: Tensor, correction: int = 0) -> tuple[Tensor, Tensor]:
    """Mean and log variance [B] of the equal mixture of S Gaussians.

    With `correction` 1 the variance between their means has 1/(S − 1), as in the original code;
    that of the mixture itself has 1/S.
    """
    mean, log_variance = gaussian(outputs)
    variance = log_variance.exp().mean(0) + mean.var(0, correction=correction)
    return mean.mean(0), variance.log()


def _gaussian_kl(p: tuple[Tensor, Tensor], q: tuple[Tensor, Tensor]) -> Tensor:
    (p_mean, p_log), (q_mean, q_log) = p, q
    ratio = (p_log - q_log).exp() + (p_mean - q_mean).square() * (-q_log).exp()
    return 0.5 * (ratio - 1 - p_log + q_log).mean()


class Regression(TaskTerms):
    """Outputs are mean and log variance of a Gaussian. A temperature has no meaning here."""

    name = "regression"

    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The Gaussian negative log-likelihood of each head, with its constant ½ ln 2π."""
        mean, log_variance = gaussian(outputs)
        error = (y - mean).square() * (-log_variance).exp()
        return 0.5 * (error + log_variance + math.log(2 * math.pi)).mean(1)

    def aggregation(
        self, outputs: Tensor, teacher: Tensor, temperature: float = 1.0, correction: int = 0
    ) -> Tensor:
        """KL between the Gaussians that have the mixtures' means and variances."""
        return _gaussian_kl(moments(teacher, correction), moments(outputs, correction))

    def individuality(self, outputs: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        """½[(σ_T² + (μ_T − μ_S)²)/σ_S² + ln σ_S²] less the teacher's part, so that 0 is best."""
        teacher, outputs = matched(teacher, outputs)
        return _gaussian_kl(gaussian(teacher), gaussian(outputs))

    def prediction(self, outputs: Tensor) -> Prediction:
        mean, log_variance = gaussian(outputs)
        return GaussianMixture(mean, log_variance)


TASKS: dict[str, TaskTerms] = {task.name: task for task in (Classification(), Regression())}
