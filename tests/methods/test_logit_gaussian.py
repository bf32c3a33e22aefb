"""`logit-gaussian`: its loss and its limits; the distributions have tests of their own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from distillation_bench.methods import Batch, Examples, Setting
from distillation_bench.methods.logit_gaussian import LogitGaussian

MakeSetting = Callable[..., Setting]
MakeBatch = Callable[..., Batch]
Draw = Callable[..., Tensor]

TASKS = pytest.mark.parametrize("task", ["classification", "regression"])


def made(where: Setting, members: Tensor, **parameters: Any) -> LogitGaussian:
    """A method that was fitted to members' outputs [M, N, K]."""
    method = LogitGaussian(LogitGaussian.Parameters.model_validate(parameters), where)
    x = torch.zeros(members.shape[1], 3)
    method.fitted = method.fit(Examples(x, x[:, 0], members), Generator())
    return method


def coordinates(task: str, gauge: str, smoothing: float, outputs: list[float]) -> list[float]:
    if task == "regression":
        return outputs
    total = sum(map(math.exp, outputs))
    logs = [
        math.log((1 - smoothing) * math.exp(z) / total + smoothing / len(outputs)) for z in outputs
    ]
    if gauge == "last":
        return [log - logs[-1] for log in logs[:-1]]
    shift = sum(logs) / len(logs) if gauge == "centred" else 0.0
    return [log - shift for log in logs]


@TASKS
@pytest.mark.parametrize("distribution", ["gaussian", "laplace"])
@pytest.mark.parametrize("gauge", ["last", "log-softmax"])
def test_the_loss_is_the_likelihood_of_the_members(
    task: str, distribution: str, gauge: str, setting: MakeSetting, batch: MakeBatch
) -> None:
    """A plain loop, with softplus spreads in units of the logits over the training split."""
    where = setting(task)
    network = torch.nn.Linear(3, 1).double()
    data = batch(where, network)
    options = {"distribution": distribution, "gauge": gauge, "smoothing": 0.01, "floor": 0.05}
    method = made(where, data.teacher, **options)
    size = 3 if task == "classification" and gauge == "last" else where.networks.outputs
    raw = torch.randn(1, 7, 2 * size, generator=Generator().manual_seed(1)).double()
    rows = [
        [coordinates(task, gauge, 0.01, outputs) for outputs in member]
        for member in data.teacher.tolist()
    ]
    flat = [row for member in rows for row in member]
    means = [sum(column) / len(flat) for column in zip(*flat, strict=True)]
    deviations = [
        math.sqrt(sum((v - mean) ** 2 for v in column) / len(flat))
        for mean, column in zip(means, zip(*flat, strict=True), strict=True)
    ]
    total = 0.0
    for member in rows:
        for n, row in enumerate(member):
            for c, value in enumerate(row):
                location = means[c] + deviations[c] * raw[0, n, c].item()
                spread = math.log1p(math.exp(raw[0, n, size + c].item()))
                if distribution == "laplace":
                    b = deviations[c] * spread + 0.05
                    total += abs(value - location) / b + math.log(2 * b)
                else:
                    v = deviations[c] ** 2 * spread + 0.05
                    total += 0.5 * (math.log(2 * math.pi * v) + (value - location) ** 2 / v)
    terms = method.loss(raw, data, method.parameters.at(0, 10))
    assert terms["likelihood"].item() == pytest.approx(total / (len(rows) * 7), rel=1e-9)


def test_weights_are_those_of_labels_mean_and_likelihood(setting: MakeSetting) -> None:
    method = LogitGaussian(LogitGaussian.Parameters(a=0.75, kl=2.0), setting())
    weights = method.weights(method.parameters.at(0, 10))
    assert weights == {"correctness": 0.25, "aggregation": 1.5, "likelihood": 0.75}


@pytest.mark.parametrize("gauge", ["centred", "last", "log-softmax"])
def test_without_factors_a_low_rank_is_diagonal(
    gauge: str, setting: MakeSetting, batch: MakeBatch, draw: Draw
) -> None:
    where = setting()
    data = batch(where, torch.nn.Linear(3, 1))
    size = 4 - (gauge == "last")
    raw = draw(1, 7, 2 * size)
    padded = torch.cat([raw, torch.zeros(1, 7, 2 * size).double()], -1)
    values = []
    for rank, outputs in ((0, raw), (2, padded)):
        method = made(where, data.teacher, gauge=gauge, rank=rank)
        values.append(method.loss(outputs, data, method.parameters.at(0, 10))["likelihood"].item())
    assert values[0] == pytest.approx(values[1], rel=1e-12)


@TASKS
def test_equal_members_leave_the_floor_alone(task: str, setting: MakeSetting, draw: Draw) -> None:
    where = setting(task)
    members = draw(1, 7, where.networks.outputs).expand(3, -1, -1)
    method = made(where, members, floor=1e-18)
    # softplus(−60) is 1e-26.
    width = where.networks.outputs
    raw = torch.cat([draw(1, 7, width), torch.full((1, 7, width), -60.0).double()], -1)
    samples = method.infer(torch.nn.Identity(), raw, Generator())
    assert method.predict(samples).epistemic.max() < 1e-9


def test_draws_are_the_same_for_all_inputs_and_need_no_stream(
    setting: MakeSetting, draw: Draw
) -> None:
    method = made(setting(), draw(3, 7, 4), rank=1)
    row = draw(1, 1, 12)
    network = torch.nn.Identity()
    first = method.infer(network, row.expand(1, 5, 12), Generator().manual_seed(1))
    second = method.infer(network, row.expand(1, 5, 12), Generator().manual_seed(2))
    assert torch.equal(first, second) and first.shape == (64, 5, 4)
    assert torch.equal(first, first[:, :1].expand(-1, 5, -1))
    assert len({tuple(sample) for sample in first[:, 0].tolist()}) == 64


def test_a_laplace_distribution_has_no_rank(setting: MakeSetting) -> None:
    method = LogitGaussian(LogitGaussian.Parameters(distribution="laplace", rank=2), setting())
    with pytest.raises(ValueError, match="rank=0"):
        method.build(Generator())
