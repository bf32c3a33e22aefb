"""Proxy EnDD: a Dirichlet is trained to be the Dirichlet of the ensemble's mean and spread."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from distillation_bench.methods import base
from distillation_bench.methods.base import Batch, Method, parameter
from distillation_bench.methods.lazy import dirichlets, heads, predictions, torch
from distillation_bench.methods.schedules import Temperature

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from distillation_bench.methods.predictions import Prediction


class ProxyEnDD(Method):
    """Proxy-Dirichlet distillation, Ryabinin et al. 2021 (arXiv 2105.06987).

    The members are replaced by a proxy, the Dirichlet with their mean p̄ and the precision
    β = (C − 1) / (2 MKL), MKL = mean_m KL(p̄ ‖ p_m). The student has α = exp(z) + 1. Its loss is
    the reverse divergence T² KL(Dir(α) ‖ Dir(B p̄ + 1)) / B, which is least where softmax(z) = p̄
    and Σ exp(z) = B; but for a constant, this is the loss of the official code. Predictions are
    Dir(exp(z)), at T = 1 and without the offset, as in the official evaluation.

    Choices of this suite: B = β, because the official β + C (`scale=sum`) is then the precision of
    predictions, and doubles the error of epistemic uncertainty for teachers with a known Dirichlet;
    the factor T²; the cap, because β is infinite where members agree; and no correction of MKL for
    the number of members, because the teacher's own epistemic uncertainty, with which students are
    compared, is not corrected either.

    `divergence=forward` exchanges the two Dirichlets. It covers the proxies of all examples, as far
    as α = 1, where exp(z) has hardly a gradient, and its students stay at chance on digits and
    spiral. The paper, too, replaces it by the reverse one.
    """

    name = "proxy-endd"
    summary = "a Dirichlet, by its divergence from one with the members' mean and spread"
    paper = "Ryabinin et al. 2021, arXiv 2105.06987"
    refuses = {"regression": "a Dirichlet is a distribution over class probabilities"}

    class Parameters(base.Parameters):
        divergence: Literal["reverse", "forward"] = parameter("reverse", "from student or to it")
        scale: Literal["raw", "sum"] = parameter("raw", "B: β, or β + C as in the official code")
        temperature: Temperature = parameter(1.0, "T of members and α in training")
        offset: float = parameter(1.0, "added to concentrations in training", ge=0, le=1e3)
        kept: float = parameter(0.0, "offset of concentrations in predictions", ge=0, le=1e3)
        cap: float = parameter(1e4, "largest β", gt=0, le=1e9)
        corrected: bool = parameter(False, "whether MKL is multiplied by M/(M − 1)")

    def build(self, generator: Generator) -> nn.Module:
        return heads.core_and_heads(self.setting.networks, 1, generator)

    def loss(self, outputs: Tensor, batch: Batch, now: Parameters) -> Mapping[str, Tensor]:
        mean, precision = dirichlets.proxy(batch.teacher, now.temperature, now.corrected)
        beta = precision.clamp(max=now.cap)[:, None]
        alpha = dirichlets.concentrations(outputs[0], now.temperature, now.offset)
        scale = beta + now.offset * mean.shape[-1] * (now.scale == "sum")
        pair = (alpha, (mean * scale).clamp(min=dirichlets.SMALLEST) + now.offset)
        reverse = now.divergence == "reverse"
        losses = dirichlets.divergence(*(pair if reverse else pair[::-1])) / scale[:, 0]
        capped = (precision >= now.cap).double().mean()
        return {"proxy": now.temperature**2 * losses.mean(), "capped": capped}

    def weights(self, now: Parameters) -> Mapping[str, float]:
        return {"capped": 0.0}

    def predict(self, outputs: Tensor) -> Prediction:
        kept = self.parameters.kept
        offset = torch.tensor(math.log(kept) if kept else -math.inf, device=outputs.device)
        return predictions.Dirichlet(torch.logaddexp(outputs[0].double(), offset.double()))
