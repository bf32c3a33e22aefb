"""Monte Carlo dropout before the student's last layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

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

    Passes have no identity to be matched by, so that individuality is least if all are the members'
    mean. `match=distribution` replaces it by the energy distance, which is least if passes have the
    members' distribution. With 5 members on digits, it raises OOD AUROC by epistemic uncertainty
    from 0.80 to 0.85 and lowers NLL from 0.097 to 0.091, but epistemic uncertainty on the test set
    rises from 0.025 to 0.038 (members: 0.005); on sine, where dropout is too noisy, NLL rises from
    1.47 to 1.49 (3 seeds).
    """

    name = "mc-dropout"
    summary = "dropout before the last layer, always on, passes matched to members"
    paper = "Gal & Ghahramani 2016, arXiv 1506.02142; as a student, arXiv 2205.09526"

    class Parameters(base.Parameters):
        samples: int | None = parameter(None, "passes; none: one per member", ge=1, le=1_000_000)
        rate: float = parameter(0.5, "probability of dropping a feature", ge=0, lt=1)
        temperature: Temperature = parameter(4.0, "T of individuality", dataset=True)
        match: Literal["members", "distribution"] = parameter(
            "members",
            "members: individuality, at whose optimum passes are equal; distribution: the energy "
            "distance to the members' distribution, without T",
        )
        a: Share = parameter(0.9, "weight of the teacher against the labels", dataset=True)

    def build(self, generator: Generator) -> nn.Module:
        if self.parameters.match == "distribution" and self._samples < 2:
            raise ValueError("match=distribution needs two samples at least")
        return heads.DropoutLast(self.setting.networks, self.parameters.rate, generator)

    def forward(self, network: nn.Module, x: Tensor, generator: Generator) -> Tensor:
        outputs: Tensor = network(x, self._samples, generator)
        return outputs

    def passes(self, network: nn.Module, x: Tensor, count: int, generator: Generator) -> Tensor:
        outputs: Tensor = network(x, count, generator, shared=True)
        return outputs

    def loss(self, outputs: Tensor, batch: Batch, now: Parameters) -> Mapping[str, Tensor]:
        terms = {"correctness": self.task.correctness(outputs, batch.y)}
        if now.match == "distribution":
            return terms | {"distribution": self.task.distribution(outputs, batch.teacher)}
        matched = self.task.individuality(outputs, batch.teacher, now.temperature)
        return terms | {"individuality": matched}

    def weights(self, now: Parameters) -> Mapping[str, float]:
        term = "individuality" if now.match == "members" else "distribution"
        return {"correctness": 1 - now.a, term: now.a}

    @property
    def _samples(self) -> int:
        return self.parameters.samples or self.setting.members
