"""FED: the distance of functions on a batch, its stages, and members of two kinds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from distillation_bench.methods import Batch, Setting
from distillation_bench.methods.fed import FED
from distillation_bench.methods.perturbations import mixed

MakeSetting = Callable[..., Setting]
MakeBatch = Callable[..., Batch]

TASKS = pytest.mark.parametrize("task", ["classification", "regression"])
BANDWIDTHS = {"mmd-cifar10": (2, 10, 20, 50, 640), "mmd-cifar100": (10, 15, 20, 50, 6400)}


def stream(seed: int) -> Generator:
    return torch.Generator().manual_seed(seed)


def made(where: Setting, **parameters: Any) -> FED:
    return FED(FED.Parameters.model_validate(parameters), where)


def rows(task: str, outputs: Tensor, teacher: Tensor) -> list[list[float]]:
    """The values of each function for all examples, as one list."""
    values = outputs.softmax(-1)
    if task == "regression":
        scale = (teacher[..., 1].mean(0) / 2).exp()
        values = torch.stack([outputs[..., 0] / scale, outputs[..., 1] / math.sqrt(2)], -1)
    numbers: list[list[float]] = values.flatten(1).tolist()
    return numbers


def plain(name: str, left: list[list[float]], right: list[list[float]], unbiased: bool) -> float:
    squares = [math.dist(a, b) ** 2 for a in left for b in right]
    if name in BANDWIDTHS:
        *numbers, of_dimension = BANDWIDTHS[name]
        widths = [a * len(left[0]) / of_dimension for a in numbers]
    else:
        widths = [factor * sum(squares) / len(squares) for factor in (0.25, 1, 4)]

    def kernel(a: list[float], b: list[float]) -> float:
        if name == "energy":
            return -math.dist(a, b)
        return sum(math.exp(-(math.dist(a, b) ** 2) / (2 * width)) for width in widths)

    def within(side: list[list[float]]) -> float:
        pairs = [
            kernel(a, b)
            for i, a in enumerate(side)
            for j, b in enumerate(side)
            if i != j or not unbiased
        ]
        return sum(pairs) / len(pairs)

    between = [kernel(a, b) for a in left for b in right]
    return within(left) + within(right) - 2 * sum(between) / len(between)


@TASKS
@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("distance", ["energy", "mmd", "mmd-cifar10", "mmd-cifar100"])
def test_the_loss_is_a_distance_of_functions_on_a_batch(
    task: str, distance: str, unbiased: bool, setting: MakeSetting, batch: MakeBatch
) -> None:
    """One row for each function, of the values for all examples."""
    method = made(setting(task), distance=distance, unbiased=unbiased)
    student = method.build(stream(0))
    data = batch(method.setting, student, "functions")
    outputs = torch.randn(4, 7, method.setting.networks.outputs, generator=stream(1)).double()
    terms = method.loss(outputs, data, method.parameters)
    left, right = (rows(task, side, data.teacher) for side in (outputs, data.teacher))
    expected = plain(distance, left, right, unbiased)
    assert {name: term.item() for name, term in terms.items()} == {
        "distance": pytest.approx(expected, rel=1e-9)
    }


@TASKS
def test_the_first_stage_distils_the_mean(
    task: str, setting: MakeSetting, batch: MakeBatch
) -> None:
    method = made(setting(task), warm=0.25)
    student = method.build(stream(0))
    stages = method.stages(student, stream(1))
    assert [(stage.name, stage.share) for stage in stages] == [("mean", 0.25), ("functions", 0.75)]
    assert [stage.network for stage in stages] == [student, student]
    data = batch(method.setting, student, "mean")
    outputs = torch.randn(4, 7, method.setting.networks.outputs, generator=stream(1)).double()
    expected = method.task.aggregation(outputs, data.teacher)
    assert method.loss(outputs, data, method.parameters) == {"aggregation": expected}
    (only,) = made(setting(task), warm=0).stages(student, stream(1))
    assert (only.name, only.share) == ("functions", 1)


def test_a_step_takes_as_many_functions_of_members_as_of_the_student(
    setting: MakeSetting, batch: MakeBatch
) -> None:
    """Different members in each step, none twice."""
    method = made(setting(members=9), functions=2, distance="energy")
    student = method.build(stream(0))
    data = batch(method.setting, student, "functions")
    outputs = torch.randn(2, 7, 4, generator=stream(1)).double()
    sides = [rows("classification", side, data.teacher) for side in (outputs, data.teacher)]
    possible = {
        round(plain("energy", sides[0], [sides[1][i], sides[1][j]], True), 9): (i, j)
        for i in range(9)
        for j in range(i)
    }
    found = [method.loss(outputs, data, method.parameters)["distance"].item() for _ in range(200)]
    assert {possible[round(value, 9)] for value in found} == set(possible.values())


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_of_inputs_is_mixed(share: float) -> None:
    """(1 − λ) x + λ x': each number between those of two inputs, others the same."""
    x = torch.randn(4000, 3, generator=stream(3), dtype=torch.float64)
    values = mixed(x, share, stream(4))
    is_moved = (values != x).any(1).double().mean().item()
    assert abs(is_moved - share) < 0.05
    # E[(1 − λ)² + λ²] = ⅔ of the variance.
    assert values.var(0).mean().item() == pytest.approx(1 - share / 3, abs=0.08)
    pairs = mixed(torch.eye(40), share, stream(4))
    torch.testing.assert_close(pairs.sum(1), torch.ones(40))
    assert ((pairs > 0).sum(1) <= 2).all() and pairs.min() >= 0


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_mixed_inputs_are_labelled_by_the_members(
    share: float, setting: MakeSetting, batch: MakeBatch
) -> None:
    method = made(setting(), mixup=share)
    student = method.build(stream(0))
    data = batch(method.setting, student, "functions")
    answered: list[Tensor] = []

    def answer(x: Tensor) -> Tensor:
        answered.append(x)
        return torch.randn(4, 7, 4, generator=stream(1)).double()

    now = method.parameters
    terms = method.step(Batch(**{**vars(data), "answer": answer}), now)
    (x,) = answered
    assert x.equal(data.x) == (share == 0)
    teacher = data.ask(x) if share else data.teacher
    expected = method.loss(answer(x), Batch(**{**vars(data), "teacher": teacher}), now)
    torch.testing.assert_close(terms["distance"], expected["distance"])


def test_without_noise_functions_are_equal(setting: MakeSetting) -> None:
    method = made(setting(), noise=0.0, draws=5)
    student, x = method.build(stream(0)), torch.randn(7, 3)
    outputs = method.infer(student, x, stream(1))
    assert outputs.shape == (5, 7, 4)
    torch.testing.assert_close(outputs, outputs[:1].expand_as(outputs))
    assert method.forward(student, x, stream(1)).shape == (8, 7, 4)


@pytest.mark.parametrize("distance", ["energy", "mmd"])
def test_functions_agree_between_inputs_as_members_do(distance: str, setting: MakeSetting) -> None:
    """Members are sure of one of two classes, the same for all inputs; so become the functions."""
    method = made(setting(members=6, outputs=2), distance=distance, functions=8)
    student = method.build(stream(0))
    x = torch.randn(32, 3, generator=stream(1))
    signs = torch.tensor([1.0, -1, 1, -1, 1, -1])[:, None, None].expand(6, 32, 1)
    teacher = torch.cat([2 * signs, -2 * signs], -1)
    noise = stream(2)
    parameters = list(student.parameters())
    optimizer = torch.optim.Adam(parameters, 0.01)
    for _ in range(400):
        outputs = method.forward(student, x, noise)
        data = Batch(x, x[:, 0], teacher, student, "functions", noise, student, student)
        loss = method.loss(outputs, data, method.parameters)["distance"]
        for parameter, gradient in zip(
            parameters, torch.autograd.grad(loss, parameters), strict=True
        ):
            parameter.grad = gradient
        optimizer.step()
    with torch.no_grad():
        probabilities = method.passes(student, x, 500, stream(3)).softmax(-1)[..., 0]
    spread = teacher.softmax(-1)[..., 0].std(0, correction=0).mean().item()
    assert probabilities.std(0).mean().item() == pytest.approx(spread, rel=0.15)
    correlations = torch.corrcoef(probabilities.T)
    assert correlations.min() > 0.9
