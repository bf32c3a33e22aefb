"""Temperature scaling: the single network, calibrated on the validation split."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from distillation_bench.methods.base import Examples
from distillation_bench.methods.lazy import rescaled, tasks, torch
from distillation_bench.methods.single import Single

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

HIGHEST = 20.0
"""The temperature is sought from 1/20 to 20."""


def best_temperature(logits: Tensor, y: Tensor) -> Tensor:
    """Return the T that minimises the negative log-likelihood of softmax(z/T).

    It is convex in b = 1/T, with the slope E_p[z] − z_y at p = softmax(bz). Its zero is found by
    bisection of ln b, or the bound that is nearer to it.

    Args:
        logits: z [N, C].
        y: classes [N].
    """
    z = logits.double()
    chosen = z.gather(-1, y[:, None]).mean()
    high = torch.full_like(chosen, math.log(HIGHEST))
    low = -high
    for _ in range(60):
        middle = (low + high) / 2
        slope = ((middle.exp() * z).softmax(-1) * z).sum(-1).mean() - chosen
        # `where` instead of `if`, because that would wait for the device.
        low = torch.where(slope < 0, middle, low)
        high = torch.where(slope < 0, high, middle)
    return (-(low + high) / 2).exp()


def variance_scale(outputs: Tensor, y: Tensor) -> Tensor:
    """Return ln s, where variances s σ² have the highest likelihood: s = mean((y − μ)²/σ²).

    Args:
        outputs: means and log variances [1, N, 2].
        y: targets [N].
    """
    mean, log_variance = tasks.gaussian(outputs.double())
    squares = (y - mean).square() * (-log_variance).exp()
    return squares.mean().log().clamp(-tasks.LOG_VARIANCE_LIMIT, tasks.LOG_VARIANCE_LIMIT)


class TemperatureScaling(Single):
    """The method `single` with a temperature that is fitted on the validation split.

    Guo et al. 2017 (arXiv 1706.04599), section 4.2. In regression, variances are multiplied by
    a number that has a closed form, as in Laves et al. 2021 (arXiv 2104.12376), section 3. If no
    example of the validation split is classified wrongly, as on the spiral, the likelihood has no
    optimum: the temperature is 1/20, and the first error in the test split costs much.
    """

    name = "temperature"
    summary = "one network on labels, its confidence scaled on the validation split"
    paper = "Guo et al. 2017, arXiv 1706.04599; in regression, Laves et al. 2021, arXiv 2104.12376"

    def build(self, generator: Generator) -> nn.Module:
        return rescaled.Rescaled(super().build(generator), self.setting.networks.outputs)

    def finish(self, student: nn.Module, validation: Examples) -> nn.Module:
        assert isinstance(student, rescaled.Rescaled)
        with torch.no_grad():
            outputs = student.network(validation.x)
            if self.task.name == "classification":
                student.factor.fill_(1 / best_temperature(outputs[0], validation.y))
            else:
                student.shift[1] = variance_scale(outputs, validation.y)
        return student
