"""EDFM: a flow that leads from noise to the members' logits, on the features of a KD network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from distillation_bench.methods.base import Batch, Examples, Group, Stage, parameter
from distillation_bench.methods.kd import KD
from distillation_bench.methods.lazy import flow, logit_distributions, low_discrepancy, velocity

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


class EDFM(KD):
    """EDFM, Park et al. 2025 (ICML): flow matching from noise to the members' logits.

    In the first stage a network is trained as by `kd`. In the second it is frozen, and a perceptron
    v(h, t, features) learns the velocities of straight paths from noise to the centred logits of
    one member, |v − (h₁ − h₀)|², at times of density 3^t. A prediction follows `samples` paths by
    Heun's method, from the same noise for all inputs. In regression, paths end at the members'
    means and log variances.

    Choices of this suite: logits in units of their spread over the training split, for which the
    paper's noise of 4 is meant; their smoothing, as in `dlf`; and a scrambled Sobol sequence as
    noise. The paper draws its members from a posterior without end; those of an ensemble are few,
    and the flow learns that many points.
    """

    name = "edfm"
    summary = "a flow from noise to the members' logits, on the features of a distilled network"
    paper = "Park et al. 2025, ICML; flow matching: Lipman et al. 2023, arXiv 2210.02747"

    class Parameters(KD.Parameters):
        first: float = parameter(0.5, "share of the epochs in the stage of KD", gt=0, lt=1)
        noise: float = parameter(4.0, "σ, in standard deviations of the logits", gt=0)
        width: int = parameter(128, "of the velocity's layers", ge=1, le=10_000)
        blocks: int = parameter(3, "the velocity's layers", ge=1, le=100)
        rate: float = parameter(0.3, "factor on the learning rate of the velocity", gt=0, le=100)
        draws: int = parameter(4, "members, times and noises per example and step", ge=1, le=1000)
        smoothing: float = parameter(1e-4, "ε of members' smoothing; 0: the paper's", ge=0, lt=1)
        steps: int = parameter(7, "steps of a prediction", ge=1, le=1000)
        samples: int = parameter(32, "samples of a prediction", ge=1, le=1_000_000)

    def fit(self, train: Examples, generator: Generator) -> Mapping[str, Tensor]:
        return logit_distributions.location_and_scale(self._coordinates(train.teacher))

    def build(self, generator: Generator) -> nn.Module:
        size = self.parameters.width, self.parameters.blocks, self.parameters.noise
        return velocity.FeaturesAndVelocity.of(self.setting.networks, *size, generator)

    def stages(self, student: nn.Module, generator: Generator) -> Sequence[Stage]:
        assert isinstance(student, velocity.FeaturesAndVelocity)
        distilled = student.with_head(self.setting.networks.outputs, generator)
        share = self.parameters.first
        return [Stage("kd", distilled, share), Stage("flow", student.frozen(), 1 - share)]

    def groups(self, network: nn.Module) -> Sequence[Group]:
        flows = isinstance(network, velocity.FeaturesAndVelocity)
        return [Group(network.parameters(), self.parameters.rate)] if flows else []

    def loss(self, outputs: Tensor, batch: Batch, now: Any) -> Mapping[str, Tensor]:
        if batch.stage == "kd":
            return super().loss(outputs, batch, now)
        members = flow.random_members(batch.teacher, now.draws, batch.generator)
        data = (self._coordinates(members) - self.fitted["location"]) / self.fitted["scale"]
        assert isinstance(batch.network, velocity.FeaturesAndVelocity)
        at = partial(batch.network.velocity, features=outputs[0])
        return {"velocity": flow.matching_error(at, data, now.noise, batch.generator)}

    def infer(self, network: nn.Module, x: Tensor, generator: Generator) -> Tensor:
        outputs: Tensor = network(x)
        p = self.parameters
        if not isinstance(network, velocity.FeaturesAndVelocity):
            return outputs
        noise = p.noise * low_discrepancy.normal_points(p.samples, network.velocity.size, x.device)
        starts = noise[:, None].expand(-1, len(x), -1)
        ends = flow.follow(partial(network.velocity, features=outputs[0]), starts, p.steps)
        return self.fitted["location"] + self.fitted["scale"] * ends

    def _coordinates(self, outputs: Tensor) -> Tensor:
        gauge = logit_distributions.gauge_of("centred", self.task.name)
        return logit_distributions.gauged(outputs, gauge, self.parameters.smoothing)
