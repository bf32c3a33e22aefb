"""Independent small networks, one per member: what heads on a shared core must beat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from distillation_bench.methods import base
from distillation_bench.methods.base import Batch, Method, parameter
from distillation_bench.methods.schedules import Share, Temperature

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


class SmallEnsemble(Method):
    """M small students, each distilled from one member: (1 − a) correctness + a individuality.

    The control "small-Ens" of Park et al. 2025 (arXiv 2510.19290), each of whose networks is as
    large as any other student: `width=1`. This suite's default halves the widths of a student's
    network, which leaves a quarter of its parameters, so that four small networks cost as much as
    one student.
    """

    name = "small-ensemble"
    summary = "independent small networks, one per member, the control of shared cores"
    paper = "the control small-Ens of Park et al. 2025, arXiv 2510.19290"

    class Parameters(base.Parameters):
        networks: int | None = parameter(None, "networks; none: one per member", ge=1, le=10_000)
        width: float = parameter(0.5, "factor on the widths of a student's network", gt=0, le=4)
        temperature: Temperature = parameter(4.0, "T of individuality", dataset=True)
        a: Share = parameter(0.9, "weight of the teacher against the labels", dataset=True)

    def build(self, generator: Generator) -> nn.Module:
        small = self.setting.networks.narrowed(self.parameters.width)
        return small.stack(self.parameters.networks or self.setting.members, generator)

    def loss(self, outputs: Tensor, batch: Batch, now: Parameters) -> Mapping[str, Tensor]:
        return {
            "correctness": self.task.correctness(outputs, batch.y),
            "individuality": self.task.individuality(outputs, batch.teacher, now.temperature),
        }

    def weights(self, now: Parameters) -> Mapping[str, float]:
        return {"correctness": 1 - now.a, "individuality": now.a}
