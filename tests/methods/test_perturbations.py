"""Perturbations against plain loops: finite differences of what they increase."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from distillation_bench.methods import Batch, InputRange, Setting
from distillation_bench.methods.networks import network_builder
from distillation_bench.methods.networks.batch_ensemble import BatchEnsemble
from distillation_bench.methods.perturbations import (
    IMAGE_STEP,
    OTHER_STEP,
    Perturbation,
    ascended,
    perturbed,
)
from distillation_bench.methods.tasks import TASKS

MakeSetting = Callable[..., Setting]
MakeBatch = Callable[..., Batch]

BOTH = pytest.mark.parametrize("task", ["classification", "regression"])
GRADIENT: list[Perturbation] = ["ods", "conf-ods", "tdiv-sdiv"]
EVERY: list[Perturbation] = ["gaussian", *GRADIENT]
TEMPERATURE = 2.0
DIFFERENCE = 1e-6
"""Of the inputs on the unit scale, for central differences."""


@pytest.fixture
def problem(
    setting: MakeSetting, batch: MakeBatch, generator: Generator
) -> Callable[[str], tuple[Setting, Batch]]:
    """Seven examples, some of them near the bounds of a range that differs between features."""

    def make(task: str) -> tuple[Setting, Batch]:
        where = setting(task)
        low, high = torch.tensor([-3.0, -2.0, -4.0]), torch.tensor([2.0, 4.0, 3.0])
        where = replace(where, inputs=InputRange(low, high))
        student = BatchEnsemble(where.networks.network(generator), 3, generator, 0.5)
        data = batch(where, student)
        x = data.x.clamp(low + 1e-9, high)
        x[0, 0], x[1, 1] = low[0], high[1]
        return where, replace(data, x=x)

    return make


def seeded(data: Batch, seed: int = 3) -> Batch:
    return replace(data, generator=Generator().manual_seed(seed))


def moved(
    name: Perturbation, where: Setting, data: Batch, size: float, seed: int = 3
) -> tuple[Tensor, Tensor]:
    return perturbed(name, seeded(data, seed), where, size, TEMPERATURE)


def expected(
    where: Setting,
    data: Batch,
    size: float,
    value: Callable[[Tensor], Sequence[float]],
    factors: Sequence[float],
) -> list[list[float]]:
    """x + η√D g/‖g‖ on the unit scale, clipped, where g is the numeric gradient of a value."""
    low, high = where.inputs.low.tolist(), where.inputs.high.tolist()
    results = []
    for row in range(len(data.x)):
        gradient = []
        for feature, width in enumerate(h - lo for lo, h in zip(low, high, strict=True)):
            up, down = data.x.clone(), data.x.clone()
            up[row, feature] += DIFFERENCE * width
            down[row, feature] -= DIFFERENCE * width
            gradient.append((value(up)[row] - value(down)[row]) / (2 * DIFFERENCE))
        norm = math.sqrt(sum(part**2 for part in gradient))
        length = size * math.sqrt(len(gradient)) * factors[row]
        result = []
        for feature, (lo, hi) in enumerate(zip(low, high, strict=True)):
            unit = (data.x[row, feature].item() - lo) / (hi - lo)
            unit += length * gradient[feature] / norm
            result.append(lo + (hi - lo) * min(1.0, max(0.0, unit)))
        results.append(result)
    return results


def matches(actual: Tensor, rows: list[list[float]]) -> None:
    torch.testing.assert_close(actual, torch.tensor(rows, dtype=torch.float64), rtol=0, atol=1e-6)


@BOTH
@pytest.mark.parametrize("name", ["ods", "conf-ods"])
def test_ods_ascends_a_random_output_of_a_random_member(
    name: Perturbation, task: str, problem: Callable[..., Any]
) -> None:
    where, data = problem(task)
    stream = Generator().manual_seed(3)
    member = int(torch.rand(3, generator=stream).argsort()[0])
    weights = torch.rand(7, where.networks.outputs, generator=stream) * 2 - 1

    def parts(x: Tensor) -> Tensor:
        outputs: Tensor = data.ask(x)[member].detach()
        if task == "regression":
            return outputs
        powers = (outputs / TEMPERATURE).exp()
        return powers / powers.sum(1, keepdim=True)

    def value(x: Tensor) -> list[float]:
        return [
            sum(w * p for w, p in zip(ws, ps, strict=True))
            for ws, ps in zip(weights.tolist(), parts(x).tolist(), strict=True)
        ]

    factors = [1.0] * 7
    if name == "conf-ods" and task == "classification":
        factors = [max(row) for row in parts(data.x).tolist()]
    x, taught = moved(name, where, data, 0.05)
    matches(x, expected(where, data, 0.05, value, factors))
    assert torch.equal(taught, data.ask(x)) and not taught.requires_grad and not x.requires_grad


@BOTH
def test_tdiv_sdiv_parts_members_and_not_their_students(
    task: str, problem: Callable[..., Any], plain: Any
) -> None:
    """CE(p, q) = −Σ p ln q with the gradient in q alone; in regression the Gaussian one."""
    where, data = problem(task)
    order = torch.rand(3, generator=Generator().manual_seed(3)).argsort().tolist()
    a, b = order[0], order[-1]
    kind = plain[task].kind

    def cross_entropies(fixed: Tensor, x: Tensor, outputs: Callable[[Tensor], Tensor]) -> Any:
        pairs = zip(fixed[b].tolist(), outputs(x)[a].tolist(), strict=True)
        return [kind.kl(kind.part(p, 1.0), kind.part(q, 1.0)) for p, q in pairs]

    taught, learned = data.ask(data.x).detach(), data.answer(data.x).detach()

    def value(x: Tensor) -> list[float]:
        t, s = cross_entropies(taught, x, data.ask), cross_entropies(learned, x, data.answer)
        return [of_teacher - of_student for of_teacher, of_student in zip(t, s, strict=True)]

    x, _ = moved("tdiv-sdiv", where, data, 0.05)
    matches(x, expected(where, data, 0.05, value, [1.0] * 7))


@BOTH
def test_gaussian_noise_has_the_size_of_the_step(task: str, problem: Callable[..., Any]) -> None:
    where, data = problem(task)
    count = 30_000
    many = replace(data, x=torch.tensor([[0.5, 0.5, 0.5]], dtype=torch.float64).repeat(count, 1))
    x, taught = moved("gaussian", where, many, 0.02)
    noise = (where.inputs.to_unit(x) - where.inputs.to_unit(many.x)) / 0.02
    assert noise.mean(0).abs().max() < 5 / math.sqrt(count)
    assert (noise.var(0) - 1).abs().max() < 5 * math.sqrt(2 / count)
    assert torch.equal(taught, data.ask(x))


@BOTH
@pytest.mark.parametrize("name", EVERY)
def test_inputs_stay_in_their_range(
    name: Perturbation, task: str, problem: Callable[..., Any]
) -> None:
    where, data = problem(task)
    x, _ = moved(name, where, data, 0.9)
    unit = where.inputs.to_unit(x)
    assert unit.min() > -1e-12 and unit.max() < 1 + 1e-12
    assert ((unit - unit.round()).abs() < 1e-12).any()


@BOTH
@pytest.mark.parametrize("name", EVERY)
def test_a_step_of_0_changes_nothing(
    name: Perturbation, task: str, problem: Callable[..., Any]
) -> None:
    where, data = problem(task)
    x, taught = moved(name, where, data, 0.0)
    torch.testing.assert_close(x, data.x, rtol=0, atol=1e-12)
    torch.testing.assert_close(taught, data.ask(data.x), rtol=0, atol=1e-12)


def test_none_asks_no_member(problem: Callable[..., Any]) -> None:
    where, data = problem("classification")

    def ask(x: Tensor) -> Tensor:
        raise AssertionError

    x, taught = moved("none", where, replace(data, ask=ask), 0.1)
    assert x is data.x and taught is data.teacher


@pytest.mark.parametrize("name", EVERY)
def test_random_numbers_are_those_of_the_batch(
    name: Perturbation, problem: Callable[..., Any]
) -> None:
    where, data = problem("classification")
    before = torch.get_rng_state()
    first, again, other = (moved(name, where, data, 0.05, seed)[0] for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_every_member_has_its_turn(problem: Callable[..., Any]) -> None:
    """Only the member that is drawn has a gradient."""
    where, data = problem("classification")
    drawn = set()
    for seed in range(40):
        asked: list[Tensor] = []

        def ask(x: Tensor, asked: list[Tensor] = asked) -> Tensor:
            outputs: Tensor = data.ask(x)
            if outputs.requires_grad:
                outputs.register_hook(asked.append)  # type: ignore[no-untyped-call]
            return outputs

        moved("ods", where, replace(data, ask=ask), 0.05, seed)
        (gradient,) = asked
        (member,) = gradient.flatten(1).any(1).nonzero()[:, 0].tolist()
        drawn.add(member)
    assert drawn == {0, 1, 2}


def test_an_example_without_a_gradient_keeps_its_place() -> None:
    x = torch.tensor([[0.2, 0.4], [0.3, 0.6]])
    inputs = InputRange(torch.zeros(2), torch.ones(2))
    weights = torch.tensor([[0.0], [1.0]])
    actual = ascended(x, inputs, 0.1, lambda z: (weights * z, torch.ones(2)))
    step = 0.1 * math.sqrt(2) / math.sqrt(2)
    torch.testing.assert_close(actual, torch.tensor([[0.2, 0.4], [0.3 + step, 0.6 + step]]))


def test_a_small_gradient_has_a_direction() -> None:
    """The square of 1e-30 is 0 in float32."""
    x = torch.full((1, 2), 0.5)
    inputs = InputRange(torch.zeros(2), torch.ones(2))
    slope = torch.tensor([3e-30, -4e-30])
    actual = ascended(x, inputs, 0.1, lambda z: (slope * z, torch.ones(1)))
    expected = 0.5 + 0.1 * math.sqrt(2) * torch.tensor([[0.6, -0.8]])
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize(("shape", "size"), [((3, 8, 8), IMAGE_STEP), ((5,), OTHER_STEP)])
def test_the_default_step_is_that_of_the_inputs(shape: tuple[int, ...], size: float) -> None:
    """For images the paper's, one level of 255 in each pixel in the quadratic mean."""
    assert IMAGE_STEP == 1 / 255
    where, data = of_shape(shape)
    x, _ = perturbed("ods", data, where, None, TEMPERATURE)
    steps = where.inputs.to_unit(x) - where.inputs.to_unit(data.x)
    rms = steps.flatten(1).square().mean(1).sqrt()
    torch.testing.assert_close(rms, torch.full_like(rms, size), rtol=1e-4, atol=0)


def of_shape(shape: tuple[int, ...]) -> tuple[Setting, Batch]:
    """Six inputs in the middle of their range, and a student with normalisations for images."""
    family = {"family": "resnet", "width": 0.1} if len(shape) == 3 else MLP
    networks = network_builder(family, shape, 4)
    stream = Generator().manual_seed(0)
    x = 0.2 * torch.rand((6, *shape), generator=stream) - 0.1
    inputs = InputRange(torch.full(shape, -1.0), torch.full(shape, 2.0))
    teacher = networks.members([Generator().manual_seed(m) for m in range(3)]).eval()
    where = Setting(TASKS["classification"], 3, 6, networks, inputs, lambda: teacher)
    student = BatchEnsemble(networks.network(stream), 3, stream, 0.5)
    y = torch.zeros(6, dtype=torch.int64)
    batch = Batch(x, y, teacher(x), student, "train", stream, teacher, student)
    return where, batch


MLP = {"family": "mlp", "member": [6], "core": [5], "head": [4]}


def test_tdiv_sdiv_leaves_the_student_as_it_is() -> None:
    where, data = of_shape((3, 8, 8))
    seen: list[bool] = []

    def answer(x: Tensor) -> Tensor:
        seen.append(data.network.training)
        outputs: Tensor = data.network(x)
        return outputs

    before = {name: value.clone() for name, value in data.network.state_dict().items()}
    for training in (True, False):
        data.network.train(training)
        perturbed("tdiv-sdiv", replace(data, answer=answer), where, 0.1, TEMPERATURE)
        assert all(module.training == training for module in data.network.modules())
    assert seen == [False, False]
    for name, value in data.network.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize(("members", "heads"), [(1, 1), (1, 3), (4, 2), (2, 4)])
def test_tdiv_sdiv_with_any_numbers(
    members: int, heads: int, setting: MakeSetting, batch: MakeBatch, generator: Generator
) -> None:
    """One member differs from no other, so that nothing is to increase."""
    where = setting(members=members)
    student: nn.Module = BatchEnsemble(where.networks.network(generator), heads, generator, 0.5)
    data = batch(where, student)
    data = replace(data, x=data.x.clamp(-2, 2))
    x, _ = moved("tdiv-sdiv", where, data, 0.05)
    unit = (where.inputs.to_unit(x) - where.inputs.to_unit(data.x)).square().mean(1).sqrt()
    expected = 0.0 if members == 1 else 0.05
    torch.testing.assert_close(unit, torch.full_like(unit, expected), rtol=1e-6, atol=1e-12)
