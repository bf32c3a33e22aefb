"""Credal ensemble distillation: an interval for each class probability."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from distillation_bench.methods import base
from distillation_bench.methods.base import Batch, Method, parameter
from distillation_bench.methods.lazy import functional, heads, predictions, torch
from distillation_bench.methods.schedules import Coefficient, Temperature

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from distillation_bench.methods.predictions import Prediction

AGREEMENT = 1e-6
"""Members agree if the widths of their intervals sum to less."""


def intervals(teacher: Tensor, temperature: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """Return the intersection probability p*, the widths Δ and the position β of members.

    With the least l and the largest u of the members' probabilities, Δ = u − l,
    β = (1 − Σ l) / Σ Δ and p* = l + β Δ, which sums to 1. Where members agree, β is undefined: it
    is ½ here, as for any two members.

    Args:
        teacher: logits of the members [M, B, C].
        temperature: of their softmax.

    Returns:
        p* [B, C], Δ [B, C] and β [B, 1], in float64.
    """
    p = predictions.log_softmax(teacher.double(), temperature).exp()
    lower, width = p.amin(0), p.amax(0) - p.amin(0)
    total = width.sum(-1, keepdim=True)
    position = (1 - lower.sum(-1, keepdim=True)) / total.clamp(min=AGREEMENT)
    position = torch.where(total > AGREEMENT, position.clamp(0, 1), 0.5)
    return lower + position * width, width, position


class CED(Method):
    """Credal ensemble distillation, Wang et al. 2026 (arXiv 2511.13766).

    CE(p*, p*_S) + MSE(Δ, Δ_S) + MSE(β, β_S), where a head with 2C + 1 outputs gives p*_S by a
    softmax, Δ_S and β_S by sigmoids. The prediction is p*_S, in the intervals from p* − β Δ to
    p* + (1 − β) Δ. Clipped to [0, 1], they contain p* still, so that there are probabilities in
    them that sum to 1. Squared errors are means over examples and classes.

    The members' softmax has the temperature 2.5 in the paper, which it reports as the best for
    detection (`ced[temperature=2.5]`). The student's has none, so p*_S is then too uncertain by
    design; the default of 1 is a choice of this suite. Intervals widen with the number of members.
    """

    name = "ced"
    summary = "an interval for each class probability, from the members' extremes"
    paper = "Wang et al. 2026, arXiv 2511.13766"
    refuses = {"regression": "intervals are of class probabilities"}

    class Parameters(base.Parameters):
        temperature: Temperature = parameter(1.0, "T of the members; 2.5 in the paper")
        widths: Coefficient = parameter(1.0, "weight of the squared error of Δ")
        position: Coefficient = parameter(1.0, "weight of the squared error of β")

    def build(self, generator: Generator) -> nn.Module:
        outputs = 2 * self.setting.networks.outputs + 1
        return heads.core_and_heads(self.setting.networks, 1, generator, outputs)

    def loss(self, outputs: Tensor, batch: Batch, now: Parameters) -> Mapping[str, Tensor]:
        p, width, position = intervals(batch.teacher, now.temperature)
        log_p, student_width, student_position = self._parts(outputs)
        return {
            "intersection": -(p * log_p).sum(-1).mean(),
            "widths": functional.mse_loss(student_width, width),
            "position": functional.mse_loss(student_position, position),
        }

    def weights(self, now: Parameters) -> Mapping[str, float]:
        return {"widths": now.widths, "position": now.position}

    def _parts(self, outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return ln p* [B, C], Δ [B, C] and β [B, 1] of outputs [1, B, 2C + 1], in float64."""
        classes = self.setting.networks.outputs
        parts = torch.split(outputs[0].double(), [classes, classes, 1], dim=-1)
        logits, width, position = parts
        return functional.log_softmax(logits, dim=-1), width.sigmoid(), position.sigmoid()

    def predict(self, outputs: Tensor) -> Prediction:
        log_p, width, position = self._parts(outputs)
        lower = log_p.exp() - position * width
        return predictions.CredalInterval(log_p, lower, lower + width)
