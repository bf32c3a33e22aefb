"""Monte Carlo dropout before the student's last layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from distillation_bench.methods import base
from distillation_bench.methods.base import Batch, Method, parameter
from distillation_bench.methods.lazy import heads
from distillation_bench.methods.schedules import Share, Temperature

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


class MCDropout(Method):
    """Monte Carlo dropout before the last layer, whose passes are matched to members.

    (1 − a) correctness + a individuality, where pass i is head i. The prediction is the mean over
    passes, as in Gal & Ghahramani 2016 (arXiv 1506.02142); the student is that of Ferianc &
    Rodrigues 2022 (arXiv 2205.09526).
    """

    name = "mc-dropout"
    summary = "dropout before the last layer, always on, passes matched to members"
    paper = "Gal & Ghahramani 2016, arXiv 1506.02142; as a student, arXiv 2205.09526"

    class Parameters(base.Parameters):
        samples: int | None = parameter(None, "passes; none: one per member", ge=1, le=1_000_000)
        rate: float = parameter(0.5, "probability of dropping a feature", ge=0, lt=1)
        temperature: Temperature = parameter(4.0, "T of individuality", dataset=True)
        a: Share = parameter(0.9, "weight of the teacher against the labels", dataset=True)

    def build(self, generator: Generator) -> nn.Module:
        return heads.DropoutLast(self.setting.networks, self.parameters.rate, generator)

    def forward(self, network: nn.Module, x: Tensor, generator: Generator) -> Tensor:
        samples = self.parameters.samples or self.setting.members
        outputs: Tensor = network(x, samples, generator)
        return outputs

    def passes(self, network: nn.Module, x: Tensor, count: int, generator: Generator) -> Tensor:
        outputs: Tensor = network(x, count, generator, shared=True)
        return outputs

    def loss(self, outputs: Tensor, batch: Batch, now: Parameters) -> Mapping[str, Tensor]:
        return {
            "correctness": self.task.correctness(outputs, batch.y),
            "individuality": self.task.individuality(outputs, batch.teacher, now.temperature),
        }

    def weights(self, now: Parameters) -> Mapping[str, float]:
        return {"correctness": 1 - now.a, "individuality": now.a}
