"""Ensemble distribution distillation: a Dirichlet is fitted to the members' probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from distillation_bench.methods import base
from distillation_bench.methods.base import Batch, Method, parameter
from distillation_bench.methods.lazy import heads, predictions, torch
from distillation_bench.methods.schedules import Share, Temperature

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from distillation_bench.methods.predictions import Prediction


def dirichlet_nll(
    logits: Tensor, teacher: Tensor, temperature: float = 1.0, smoothing: float = 0.0
) -> Tensor:
    """Return T² times the mean negative log-likelihood of the members under a Dirichlet.

    Malinin et al. 2020 (arXiv 1905.00076), equation 8, with α = exp(z/T). The members' softmax
    probabilities p at temperature T are smoothed towards uniform: p̃ = (1 − ε) p + ε/C. Computed in
    float64, because differences of lnΓ of large α vanish in float32.

    Args:
        logits: z [B, C].
        teacher: logits of the members [M, B, C].
        temperature: T.
        smoothing: ε.
    """
    log_alpha = (logits.double() / temperature).clamp(
        -predictions.LOG_CONCENTRATION_LIMIT, predictions.LOG_CONCENTRATION_LIMIT
    )
    alpha = log_alpha.exp()
    log_p = predictions.log_softmax(teacher.double(), temperature)
    log_p = predictions.smoothed(log_p, smoothing)
    normaliser = torch.lgamma(alpha).sum(-1) - torch.lgamma(alpha.sum(-1))
    return temperature**2 * (normaliser - ((alpha - 1) * log_p.mean(0)).sum(-1)).mean()


class EnDD(Method):
    """EnDD, Malinin et al. 2020 (arXiv 1905.00076): α = exp(z/T), by maximum likelihood.

    The temperature is annealed to 1, and the Dirichlet is evaluated in closed form at T = 1.
    `endd[temperature=3,smoothing=0]` (the dataset's T, constant) is the variant of the original
    code. It trains exp(z/T) but evaluates exp(z), and so overstates the precision.
    """

    name = "endd"
    summary = "a Dirichlet over class probabilities, by maximum likelihood"
    paper = "Malinin et al. 2020, arXiv 1905.00076"
    refuses = {"regression": "a Dirichlet is a distribution over class probabilities"}

    class Parameters(base.Parameters):
        temperature: Temperature = parameter(
            "linear(10, 1, 33%, 67%)", "T of members and α, annealed to 1", validate_default=True
        )
        smoothing: Share = parameter(1e-4, "ε of the members' smoothing towards uniform")

    def build(self, generator: Generator) -> nn.Module:
        return heads.core_and_heads(self.setting.networks, 1, generator)

    def loss(self, outputs: Tensor, batch: Batch, now: Parameters) -> Mapping[str, Tensor]:
        return {
            "dirichlet": dirichlet_nll(outputs[0], batch.teacher, now.temperature, now.smoothing)
        }

    def predict(self, outputs: Tensor) -> Prediction:
        return predictions.Dirichlet(outputs[0])
