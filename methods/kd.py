"""Knowledge distillation: one network is trained on the ensemble's mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from distillation_bench.methods import base
from distillation_bench.methods.base import Batch, Method, parameter
from distillation_bench.methods.lazy import heads
from distillation_bench.methods.schedules import Share, Temperature

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


class KD(Method):
    """Knowledge distillation, Hinton et al. 2015 (arXiv 1503.02531), section 2.

    (1 − a) CE(y, z) + a T² KL(mean_m softmax(t_m/T) ‖ softmax(z/T)).
    """

    name = "kd"
    summary = "plain distillation of the ensemble's mean into one network"
    paper = "Hinton et al. 2015, arXiv 1503.02531"

    class Parameters(base.Parameters):
        a: Share = parameter(0.9, "weight of the teacher against the labels", dataset=True)
        temperature: Temperature = parameter(4.0, "T of both softmaxes", dataset=True)

    def build(self, generator: Generator) -> nn.Module:
        return heads.core_and_heads(self.setting.networks, 1, generator)

    def loss(self, outputs: Tensor, batch: Batch, now: Parameters) -> Mapping[str, Tensor]:
        return {
            "correctness": self.task.correctness(outputs, batch.y),
            "aggregation": self.task.aggregation(outputs, batch.teacher, now.temperature),
        }

    def weights(self, now: Parameters) -> Mapping[str, float]:
        return {"correctness": 1 - now.a, "aggregation": now.a}
