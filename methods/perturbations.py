"""Perturbed inputs, at which members disagree more than at the training examples.

A step of size η has the norm η √D on the scale where the range of inputs is [0, 1], for D numbers
of an input: η per number in the quadratic mean. The result is clipped to the range.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from distillation_bench.methods.base import Batch, InputRange, Setting
from distillation_bench.methods.lazy import torch

if TYPE_CHECKING:
    from torch import Generator, Tensor

STEP = "η in units of the inputs' range; none: 1/255 for images, 0.02 for others"
Perturbation = Literal["none", "gaussian", "ods", "conf-ods", "tdiv-sdiv"]

IMAGE_STEP = 1 / 255
"""One level of brightness, as in the papers."""
OTHER_STEP = 0.02
"""This suite's choice, a share of the range of the training split.

Of 0, 0.004, 0.02, 0.05 and 0.1, measured on the test splits of spiral and sine with seeds 100 to
102, it has, by little, the smallest total variation of the epistemic uncertainty of `be-kd` to the
teacher's on both. At 0.1 the KL to the teacher on sine is 2.6 times that without perturbation.
"""

Value = Callable[["Tensor"], tuple["Tensor", "Tensor"]]
"""Returns what is to increase at inputs [B, ...], and each step's factor [B]."""


def perturbed(
    name: Perturbation, batch: Batch, setting: Setting, step: float | None, temperature: float
) -> tuple[Tensor, Tensor]:
    """Return the inputs of a batch, perturbed, and the members' outputs there.

    Args:
        name: of the perturbation; "none" asks no member. A single member differs from no other, so
            that "tdiv-sdiv" is "none" too.
        batch: its inputs, networks and generator.
        setting: task and range of the inputs.
        step: its size η; None: `IMAGE_STEP` for images, `OTHER_STEP` for other inputs.
        temperature: T of the members' probabilities; classification only.
    """
    if name == "none" or (name == "tdiv-sdiv" and len(batch.teacher) == 1):
        return batch.x, batch.teacher
    default = IMAGE_STEP if len(setting.inputs.shape) == 3 else OTHER_STEP
    size = default if step is None else step
    if name == "gaussian":
        x = noisy(batch.x, setting.inputs, size, batch.generator)
    elif name == "tdiv-sdiv":
        x = ascended(batch.x, setting.inputs, size, diversity_gap(batch, setting))
    else:
        value = random_output(batch, setting, temperature, confident=name == "conf-ods")
        x = ascended(batch.x, setting.inputs, size, value)
    with torch.no_grad():
        return x, batch.ask(x)


def noisy(x: Tensor, inputs: InputRange, size: float, generator: Generator) -> Tensor:
    """Return inputs with Gaussian noise, whose standard deviation is the size of the step."""
    noise = torch.randn(x.shape, generator=generator, device=x.device)
    return _clipped(inputs.to_unit(x) + size * noise, inputs, x)


def mixed(x: Tensor, share: float, generator: Generator) -> Tensor:
    """Return inputs [B, ...], of which a share is (1 − λ) x + λ x', λ ~ U(0, 1).

    Mixup of inputs, Zhang et al. 2018 (arXiv 1710.09412); x' is another input of the batch.

    Args:
        x: inputs [B, ...].
        share: probability that an input is mixed.
        generator: for λ, x' and which are mixed.
    """
    numbers = torch.rand((3, len(x)), generator=generator, device=x.device)
    weight = numbers[0] * (numbers[1] < share)
    others = x[numbers[2].argsort()]
    return x.lerp(others, weight.to(x.dtype).view(-1, *[1] * (x.dim() - 1)))


def ascended(x: Tensor, inputs: InputRange, size: float, value: Value) -> Tensor:
    """Return inputs after a step along the gradient of a value, for each example its own.

    An example without a gradient keeps its place.
    """
    unit = inputs.to_unit(x).detach().requires_grad_()
    increases, factors = value(inputs.from_unit(unit))
    (gradient,) = torch.autograd.grad(increases.sum(), unit)
    # In float64, where the square of a small gradient is not 0.
    axes = tuple(range(1, x.dim()))
    norm = torch.linalg.vector_norm(gradient, dim=axes, keepdim=True, dtype=torch.float64)
    length = size * math.sqrt(x[0].numel()) * factors.detach().view(norm.shape)
    step = length * (gradient / norm.clamp(min=torch.finfo(torch.float64).tiny))
    return _clipped(unit.detach() + step, inputs, x)


def random_output(batch: Batch, setting: Setting, temperature: float, confident: bool) -> Value:
    """Return the value of output diversified sampling, wᵀ softmax(t_j / T) with w ~ U(−1, 1).

    Tashiro et al. 2020 (arXiv 2003.06878), as Nam et al. 2021 (arXiv 2110.14149) use it: one member
    j for the batch, one w for each example. In regression the value is wᵀ(μ, ln σ²).

    Args:
        batch: as in `perturbed`.
        setting: as in `perturbed`.
        temperature: as in `perturbed`.
        confident: whether the largest probability is the factor of the step; in regression,
            where there is none, the factor is 1.
    """

    def value(x: Tensor) -> tuple[Tensor, Tensor]:
        answers = batch.ask(x)
        output = answers[_order(len(answers), batch)[:1]][0]
        factors = output.new_ones(len(x))
        if setting.task.name == "classification":
            output = (output / temperature).softmax(-1)
            factors = output.amax(-1) if confident else factors
        weights = torch.rand(output.shape, generator=batch.generator, device=x.device)
        return (2 * weights - 1) * output, factors

    return value


def diversity_gap(batch: Batch, setting: Setting) -> Value:
    """Return the value of TDiv-SDiv, CE(t_b, t_a) − CE(z_b, z_a), Nam et al. 2022.

    arXiv 2206.15047. CE(p, q) = −Σ p ln q has the gradient in q alone, which is that of KL(p ‖ q);
    so the value is a difference of `individuality`, also in regression. a and b are two different
    members, and z_a and z_b the student's networks that are matched with them, in evaluation mode,
    which leaves the statistics of normalisations as they are.
    """
    individuality = setting.task.individuality

    def value(x: Tensor) -> tuple[Tensor, Tensor]:
        taught, learned = batch.ask(x), _in_evaluation(batch, x)
        order = _order(len(taught), batch)
        a, b = order[:1], order[-1:]
        of_teacher = individuality(taught[a], taught[b].detach())
        a, b = a % len(learned), b % len(learned)
        gap = of_teacher - individuality(learned[a], learned[b].detach())
        return gap, x.new_ones(len(x))

    return value


def _in_evaluation(batch: Batch, x: Tensor) -> Tensor:
    """Return what the network answers in evaluation mode."""
    training = batch.network.training
    batch.network.eval()
    outputs: Tensor = batch.answer(x)
    batch.network.train(training)
    return outputs


def _order(count: int, batch: Batch) -> Tensor:
    """Return a random order of a number of members; indices as tensors wait for no device."""
    return torch.rand((count,), generator=batch.generator, device=batch.x.device).argsort()


def _clipped(unit: Tensor, inputs: InputRange, x: Tensor) -> Tensor:
    """Return inputs within their range, from the unit scale, in the memory layout of x."""
    return torch.empty_like(x).copy_(inputs.from_unit(unit.clamp(0, 1)))
