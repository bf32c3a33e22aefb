"""Bayes by backprop in the student's last layer: a Gaussian over its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from distillation_bench.methods import base
from distillation_bench.methods.base import Batch, Group, Method, parameter
from distillation_bench.methods.lazy import heads
from distillation_bench.methods.schedules import Coefficient, Share, Temperature

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


class Gauss(Method):
    """A Gaussian last layer whose samples are matched to members.

    (1 − a) correctness + a individuality + kl · KL(q(w) ‖ N(0, 1)) / N, where sample i is head i.
    The KL term is that of Blundell et al. 2015 (arXiv 1505.05424), as a share of the training set;
    the student is that of Ferianc & Rodrigues 2022 (arXiv 2205.09526).
    """

    name = "gauss"
    summary = "a Gaussian last layer, samples matched to members"
    paper = "Blundell et al. 2015, arXiv 1505.05424; as a student, arXiv 2205.09526"

    class Parameters(base.Parameters):
        samples: int | None = parameter(None, "samples; none: one per member", ge=1, le=1_000_000)
        log_variance: float = parameter(-10.0, "ln σ² of the weights at the start", ge=-30, le=2)
        temperature: Temperature = parameter(4.0, "T of individuality", dataset=True)
        a: Share = parameter(0.9, "weight of the teacher against the labels", dataset=True)
        kl: Coefficient = parameter(1.0, "weight of the KL to the prior, per training set")

    def build(self, generator: Generator) -> nn.Module:
        return heads.GaussianLast(self.setting.networks, self.parameters.log_variance, generator)

    def forward(self, network: nn.Module, x: Tensor, generator: Generator) -> Tensor:
        samples = self.parameters.samples or self.setting.members
        outputs: Tensor = network(x, samples, generator)
        return outputs

    def passes(self, network: nn.Module, x: Tensor, count: int, generator: Generator) -> Tensor:
        outputs: Tensor = network(x, count, generator, shared=True)
        return outputs

    def loss(self, outputs: Tensor, batch: Batch, now: Parameters) -> Mapping[str, Tensor]:
        assert isinstance(batch.network, heads.GaussianLast)
        return {
            "correctness": self.task.correctness(outputs, batch.y),
            "individuality": self.task.individuality(outputs, batch.teacher, now.temperature),
            "divergence": batch.network.divergence() / self.setting.examples,
        }

    def weights(self, now: Parameters) -> Mapping[str, float]:
        return {"correctness": 1 - now.a, "individuality": now.a, "divergence": now.kl}

    def groups(self, network: nn.Module) -> Sequence[Group]:
        assert isinstance(network, heads.GaussianLast)
        return [Group(network.posterior(), decay=0.0)]
