"""Hydra: a shared core with one head per member."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from distillation_bench.methods import base
from distillation_bench.methods.base import Batch, Method, Stage, parameter
from distillation_bench.methods.lazy import heads
from distillation_bench.methods.schedules import Temperature

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


class Hydra(Method):
    """Hydra, Tran et al. 2020 (arXiv 2001.04694): (T²/M) Σ_m KL(softmax(t_m/T) ‖ softmax(z_m/T)).

    There are two phases, as in the paper. In the first, the core and one head (the "Hinton head")
    are trained on the ensemble's mean; in the second, the core and M new heads on the members. The
    original code has the second phase only.
    """

    name = "hydra"
    summary = "one head per member on a shared core"
    paper = "Tran et al. 2020, arXiv 2001.04694"

    class Parameters(base.Parameters):
        heads: int | None = parameter(None, "heads; none: one per member", ge=1, le=10_000)
        temperature: Temperature = parameter(4.0, "T of members and heads", dataset=True)
        phases: int = parameter(2, "2 as in the paper, 1 as in the original code", ge=1, le=2)
        first: float = parameter(0.5, "share of the epochs in the first of 2 phases", gt=0, lt=1)

    def build(self, generator: Generator) -> nn.Module:
        count = self.parameters.heads or self.setting.members
        return heads.core_and_heads(self.setting.networks, count, generator)

    def stages(self, student: nn.Module, generator: Generator) -> Sequence[Stage]:
        if self.parameters.phases == 1:
            return [Stage("train", student)]
        assert isinstance(student, heads.CoreAndHeads)
        hinton = heads.CoreAndHeads(student.core, self.setting.networks.heads(1, generator))
        share = self.parameters.first
        return [Stage("hinton", hinton, share), Stage("train", student, 1 - share)]

    def loss(self, outputs: Tensor, batch: Batch, now: Parameters) -> Mapping[str, Tensor]:
        if batch.stage == "hinton":
            return {"aggregation": self.task.aggregation(outputs, batch.teacher, now.temperature)}
        return {"individuality": self.task.individuality(outputs, batch.teacher, now.temperature)}
