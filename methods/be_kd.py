"""A BatchEnsemble whose members learn those of the teacher, on inputs where these disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from distillation_bench.methods import base, perturbations
from distillation_bench.methods.base import Batch, Group, Method, parameter
from distillation_bench.methods.lazy import batch_ensemble
from distillation_bench.methods.perturbations import Perturbation
from distillation_bench.methods.schedules import Share, Temperature

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


class BEKD(Method):
    """BatchEnsemble distillation with ODS, Nam et al. 2021 (arXiv 2110.14149).

    (1 − a) CE(y, z(x)) + a (T²/M) Σ_m KL(softmax(t_m(x')/T) ‖ softmax(z_m(x')/T)), where x' are the
    inputs after a step along the gradient of a random output of one member. It is shorter where
    that member is less confident (ConfODS); in regression, where no confidence is, it is that of
    ODS. As in the paper, r and s start as N(1, 0.5²), learn at half the rate and are not decayed; a
    layer has biases of its members if it has a bias at all, and normalisations are shared.
    """

    name = "be-kd"
    summary = "a BatchEnsemble, members matched on perturbed inputs"
    paper = "Nam et al. 2021, arXiv 2110.14149"

    class Parameters(base.Parameters):
        heads: int | None = parameter(None, "its members; none: the teacher's", ge=1, le=10_000)
        a: Share = parameter(0.9, "weight of the teacher against the labels", dataset=True)
        temperature: Temperature = parameter(4.0, "T of members and of the student", dataset=True)
        perturbation: Perturbation = parameter("conf-ods", "how inputs are perturbed")
        step: float | None = parameter(None, perturbations.STEP, ge=0, le=1)
        spread: float = parameter(0.5, "standard deviation of r and s at the start", ge=0, le=10)
        signs: bool = parameter(False, "whether r and s start with random signs")
        rate: float = parameter(0.5, "factor on the learning rate of r and s", ge=0, le=100)

    def build(self, generator: Generator) -> nn.Module:
        values, network = self.parameters, self.setting.networks.network(generator)
        count = values.heads or self.setting.members
        return batch_ensemble.BatchEnsemble(network, count, generator, values.spread, values.signs)

    def step(self, batch: Batch, now: Parameters) -> Mapping[str, Tensor]:
        how = now.perturbation, batch, self.setting, now.step, now.temperature
        x, taught = perturbations.perturbed(*how)
        learned = batch.answer(x)
        clean = learned if x is batch.x else batch.answer(batch.x)
        return {
            "correctness": self.task.correctness(clean, batch.y),
            "individuality": self.task.individuality(learned, taught, now.temperature),
        }

    def weights(self, now: Parameters) -> Mapping[str, float]:
        return {"correctness": 1 - now.a, "individuality": now.a}

    def groups(self, network: nn.Module) -> Sequence[Group]:
        assert isinstance(network, batch_ensemble.BatchEnsemble)
        return [Group(network.factors(), rate=self.parameters.rate, decay=0.0)]
