"""A BatchEnsemble that learns the members of the teacher and is then merged into one network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from distillation_bench.methods import base, perturbations
from distillation_bench.methods.base import Batch, Examples, Group, Method, parameter
from distillation_bench.methods.lazy import batch_ensemble
from distillation_bench.methods.perturbations import Perturbation
from distillation_bench.methods.schedules import Coefficient, Share, Temperature

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


class LatentBE(Method):
    """LatentBE with TDiv-SDiv, Nam et al. 2022 (arXiv 2206.15047).

    (1 − a) CE(y, z(x')) + a (T²/M) Σ_m KL(softmax(t_m(x')/T) ‖ softmax(z_m(x')/T))
    + pull · ½ Σ [(1 − r)² + (1 − s)²]/M, where x' are the inputs after a step that parts two of the
    teacher's members and not the student's. The student is the merged network, whose r, s and
    biases are the members' means; so its epistemic uncertainty is 0. It also selects the epoch.

    The paper multiplies the gradients of r and s by M, against the 1/M of the mean over members.
    Adam divides each gradient by its size, so that they learn at the full rate without it. The
    paper's `pull` is its weight decay, 5e-4, of stochastic gradient descent.
    """

    name = "latent-be"
    summary = "a BatchEnsemble merged into one network"
    paper = "Nam et al. 2022, arXiv 2206.15047"

    class Parameters(base.Parameters):
        heads: int | None = parameter(None, "its members; none: the teacher's", ge=1, le=10_000)
        a: Share = parameter(1.0, "weight of the teacher against the labels")
        temperature: Temperature = parameter(4.0, "T of members and of the student", dataset=True)
        perturbation: Perturbation = parameter("tdiv-sdiv", "how inputs are perturbed")
        step: float | None = parameter(None, perturbations.STEP, ge=0, le=1)
        spread: float = parameter(0.0, "standard deviation of r and s at the start", ge=0, le=10)
        pull: Coefficient = parameter(5e-4, "weight of the distance of r and s from 1")
        rate: float = parameter(1.0, "factor on the learning rate of r and s", ge=0, le=100)

    def build(self, generator: Generator) -> nn.Module:
        network = self.setting.networks.network(generator)
        count, spread = self.parameters.heads or self.setting.members, self.parameters.spread
        return batch_ensemble.BatchEnsemble(network, count, generator, spread)

    def step(self, batch: Batch, now: Parameters) -> Mapping[str, Tensor]:
        assert isinstance(batch.network, batch_ensemble.BatchEnsemble)
        how = now.perturbation, batch, self.setting, now.step, now.temperature
        x, taught = perturbations.perturbed(*how)
        learned = batch.answer(x)
        return {
            "correctness": self.task.correctness(learned, batch.y),
            "individuality": self.task.individuality(learned, taught, now.temperature),
            "deviation": batch.network.deviation(),
        }

    def weights(self, now: Parameters) -> Mapping[str, float]:
        return {"correctness": 1 - now.a, "individuality": now.a, "deviation": now.pull}

    def groups(self, network: nn.Module) -> Sequence[Group]:
        assert isinstance(network, batch_ensemble.BatchEnsemble)
        return [Group(network.factors(), rate=self.parameters.rate, decay=0.0)]

    def finish(self, student: nn.Module, validation: Examples) -> nn.Module:
        assert isinstance(student, batch_ensemble.BatchEnsemble)
        return batch_ensemble.merge(student)

    def infer(self, network: nn.Module, x: Tensor, generator: Generator) -> Tensor:
        if isinstance(network, batch_ensemble.BatchEnsemble):
            network = batch_ensemble.merge(network)
        outputs: Tensor = network(x)[None]
        return outputs
