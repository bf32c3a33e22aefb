"""A Gaussian or Laplace distribution over the members' logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from distillation_bench.methods import base
from distillation_bench.methods.base import Batch, Examples, Method, parameter
from distillation_bench.methods.lazy import heads, logit_distributions, low_discrepancy
from distillation_bench.methods.schedules import Coefficient, Share, Temperature

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from distillation_bench.methods.logit_distributions import Gauge, Gaussians, Laplaces


class LogitGaussian(Method):
    """Logit distributions, Lindqvist et al. 2020 (arXiv 2002.11531), section 3.

    The members' logits at an input are draws of N(μ, diag(v) + F Fᵀ), whose parameters are the
    outputs of one network; it is trained by their likelihood. With `distribution=laplace` they are
    Laplace variables of location μ and scale b, and with `a` and `kl` the loss is that of Fathullah
    et al. 2023 (arXiv 2305.10384): (1 − a) CE(y, μ) + a [kl KL(p̄ ‖ softmax μ) + NLL]. In
    regression, the members' means and log variances are Gaussian.

    A prediction is the mixture of `samples` draws, the same numbers for all inputs: a scrambled
    Sobol sequence. Choices of this suite: the gauge, in which logits sum to 0 and their density has
    C − 1 dimensions (`last` is that of Lindqvist et al., `log-softmax` that of Fathullah et al.);
    the low-rank part F; outputs in units of the logits' spread over the training split; and
    smoothing, since logits of members that are sure of a class differ much more than
    probabilities do.
    """

    name = "logit-gaussian"
    summary = "a Gaussian or Laplace distribution over the members' logits"
    paper = "Lindqvist et al. 2020, arXiv 2002.11531; Fathullah et al. 2023, arXiv 2305.10384"

    class Parameters(base.Parameters):
        distribution: Literal["gaussian", "laplace"] = parameter("gaussian", "of the logits")
        gauge: Literal["centred", "last", "log-softmax"] = parameter("centred", "of the logits")
        rank: int = parameter(0, "columns of a low-rank part of the covariance", ge=0, le=1000)
        floor: float = parameter(1e-3, "the least variance, or scale of a Laplace", gt=0)
        a: Share = parameter(1.0, "weight of the teacher against the labels")
        kl: Coefficient = parameter(0.0, "weight of the KL from the members' mean")
        temperature: Temperature = parameter(4.0, "T of the KL", dataset=True)
        smoothing: float = parameter(1e-4, "ε of members' smoothing; 0: the papers'", ge=0, lt=1)
        samples: int = parameter(64, "draws of a prediction", ge=1, le=1_000_000)

    def fit(self, train: Examples, generator: Generator) -> Mapping[str, Tensor]:
        return logit_distributions.location_and_scale(self._coordinates(train.teacher))

    def build(self, generator: Generator) -> nn.Module:
        if self.parameters.distribution == "laplace" and self.parameters.rank:
            raise ValueError("a Laplace distribution has rank=0")
        width = (2 + self.parameters.rank) * self._size
        return heads.core_and_heads(self.setting.networks, 1, generator, width)

    def loss(self, outputs: Tensor, batch: Batch, now: Parameters) -> Mapping[str, Tensor]:
        distribution = self._distribution(outputs[0])
        location = logit_distributions.outputs_of(distribution.location[None], self._gauge)
        return {
            "correctness": self.task.correctness(location, batch.y),
            "aggregation": self.task.aggregation(location, batch.teacher, now.temperature),
            "likelihood": distribution.nll(self._coordinates(batch.teacher)),
        }

    def weights(self, now: Parameters) -> Mapping[str, float]:
        return {"correctness": 1 - now.a, "aggregation": now.a * now.kl, "likelihood": now.a}

    def infer(self, network: nn.Module, x: Tensor, generator: Generator) -> Tensor:
        distribution = self._distribution(network(x)[0])
        dimensions = distribution.dimensions
        points = low_discrepancy.uniform_points(self.parameters.samples, dimensions, x.device)
        return logit_distributions.outputs_of(distribution.draw(points), self._gauge)

    def _distribution(self, outputs: Tensor) -> Gaussians | Laplaces:
        """Return the distribution of outputs [B, (2 + rank) D]."""
        raw = outputs.view(len(outputs), -1, self._size)
        scaling = self.fitted["location"], self.fitted["scale"], self.parameters.floor
        if self.parameters.distribution == "laplace":
            return logit_distributions.Laplaces.of(raw, *scaling)
        return logit_distributions.Gaussians.of(raw, *scaling, self._gauge == "centred")

    def _coordinates(self, outputs: Tensor) -> Tensor:
        return logit_distributions.gauged(outputs, self._gauge, self.parameters.smoothing)

    @property
    def _gauge(self) -> Gauge:
        return logit_distributions.gauge_of(self.parameters.gauge, self.task.name)

    @property
    def _size(self) -> int:
        """The number of coordinates."""
        return self.setting.networks.outputs - (self._gauge == "last")
