"""One network trained on labels alone, the lower reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from distillation_bench.methods.base import Batch, Method, Parameters
from distillation_bench.methods.lazy import heads

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


class Single(Method):
    """A student's network, trained on labels with the weight decay of the teacher's members."""

    name = "single"
    summary = "one network on labels, the lower reference"
    paper = "none"
    recipe = "teacher"
    taught = False

    def build(self, generator: Generator) -> nn.Module:
        return heads.core_and_heads(self.setting.networks, 1, generator)

    def loss(self, outputs: Tensor, batch: Batch, now: Parameters) -> Mapping[str, Tensor]:
        return {"correctness": self.task.correctness(outputs, batch.y)}
