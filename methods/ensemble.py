"""The teacher itself, the upper reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from distillation_bench.methods.base import Batch, Method, Parameters, Stage

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


class Ensemble(Method):
    """The deep ensemble, Lakshminarayanan et al. 2017 (arXiv 1612.01474), section 2.4.

    The prediction is the mean of the members' predictions. Nothing is trained.
    """

    name = "ensemble"
    summary = "the teacher itself, the upper reference"
    reference = True
    is_teacher = True
    paper = "Lakshminarayanan et al. 2017, arXiv 1612.01474"

    def build(self, generator: Generator) -> nn.Module:
        return self.setting.teacher()

    def loss(self, outputs: Tensor, batch: Batch, now: Parameters) -> Mapping[str, Tensor]:
        return {"correctness": self.task.correctness(outputs, batch.y)}

    def stages(self, student: nn.Module, generator: Generator) -> Sequence[Stage]:
        return []
