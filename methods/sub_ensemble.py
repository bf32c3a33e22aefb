"""Deep sub-ensembles: heads on a frozen core, trained on labels alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from distillation_bench.methods import base
from distillation_bench.methods.base import Batch, Method, Stage, parameter
from distillation_bench.methods.lazy import frozen, heads

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


class SubEnsemble(Method):
    """A sub-ensemble, Valdenegro-Toro 2019 (arXiv 1910.08168): −ln p(y | x) of each head.

    As in the paper, the core and a first head are trained together. The core is then frozen, and
    the other heads are trained on its features; all heads make the prediction. `frozen=false`
    trains the core and all heads at once. There is no teacher, so that the difference to `hydra`
    is what distillation adds. The paper trains every head to convergence; how the epochs are
    shared between the two stages is this suite's choice.
    """

    name = "sub-ensemble"
    summary = "heads on a frozen core, trained on labels without a teacher"
    paper = "Valdenegro-Toro 2019, arXiv 1910.08168"
    recipe = "teacher"
    taught = False

    class Parameters(base.Parameters):
        heads: int | None = parameter(None, "heads; none: one per member", ge=2, le=10_000)
        frozen: bool = parameter(True, "the core is frozen after its stage; false: no stages")
        first: float = parameter(0.5, "share of the epochs for the core and one head", gt=0, lt=1)

    def build(self, generator: Generator) -> nn.Module:
        count, networks = self.parameters.heads or self.setting.members, self.setting.networks
        if count < 2:
            raise ValueError("a sub-ensemble needs two heads at least")
        core, first = networks.core(generator), networks.heads(1, generator)
        others = networks.heads(count - 1, generator)
        return heads.CoreAndHeads(core, heads.JoinedHeads([first, others]))

    def stages(self, student: nn.Module, generator: Generator) -> Sequence[Stage]:
        if not self.parameters.frozen:
            return [Stage("train", student)]
        assert isinstance(student, heads.CoreAndHeads)
        assert isinstance(student.heads, heads.JoinedHeads)
        first, others = student.heads.joined
        whole = heads.CoreAndHeads(student.core, first)
        rest = heads.CoreAndHeads(frozen.Frozen(student.core), others)
        share = self.parameters.first
        return [Stage("core", whole, share), Stage("heads", rest, 1 - share)]

    def loss(self, outputs: Tensor, batch: Batch, now: Parameters) -> Mapping[str, Tensor]:
        return {"correctness": self.task.correctness(outputs, batch.y)}
