from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from distillation_bench.methods import Batch, Examples, Setting
from distillation_bench.methods.kd_uncertainty import KDUncertainty
from distillation_bench.methods.predictions import StatedCategorical, StatedGaussian

Draw = Callable[..., Tensor]
Make = Callable[..., KDUncertainty]

TASKS = pytest.mark.parametrize("task", ["classification", "regression"])


@pytest.fixture
def make(setting: Callable[..., Setting], draw: Draw) -> Make:
    """make("regression", target="linear", …): fitted to 50 examples."""

    def fitted(task: str = "classification", **parameters: Any) -> KDUncertainty:
        where = setting(task, members=4)
        method = KDUncertainty(KDUncertainty.Parameters(**parameters), where)
        outputs = draw(4, 50, where.networks.outputs, scale=2)
        train = Examples(draw(50, 3), torch.zeros(50), outputs)
        method.fitted = method.fit(train, Generator())
        return method

    return fitted


def epistemic(task: str, members: Tensor) -> list[float]:
    """Mutual information of members [M, B, C], or variance of the means of members [M, B, 2]."""
    if task == "regression":
        return [float(np.var(column)) for column in members[..., 0].T.numpy()]
    values = []
    for n in range(members.shape[1]):
        parts = [torch.softmax(member[n], -1).tolist() for member in members]
        mean = [sum(column) / len(parts) for column in zip(*parts, strict=True)]
        kls = [sum(p * math.log(p / q) for p, q in zip(part, mean, strict=True)) for part in parts]
        values.append(sum(kls) / len(kls))
    return values


@TASKS
@pytest.mark.parametrize("target", ["log", "linear"])
@pytest.mark.parametrize("corrected", [False, True])
def test_the_head_regresses_the_scaled_uncertainty_of_the_members(
    task: str,
    target: str,
    corrected: bool,
    make: Make,
    batch: Callable[..., Batch],
    draw: Draw,
    plain: Mapping[str, Any],
) -> None:
    method = make(task, target=target, corrected=corrected, floor=0.3, temperature=3.0, a=0.7)
    data = batch(method.setting, method.build(Generator()))
    outputs, stated = draw(1, 7, method.setting.networks.outputs), draw(1, 7, 1)

    def targets(members: Tensor) -> list[float]:
        values = [value * (4 / 3 if corrected else 1) for value in epistemic(task, members)]
        return [math.log(max(v, 0.3)) for v in values] if target == "log" else values

    location, scale = (method.fitted[name].item() for name in ("mean", "scale"))
    squares = [
        (guess - (value - location) / scale) ** 2
        for guess, value in zip(stated.flatten().tolist(), targets(data.teacher), strict=True)
    ]
    now = method.parameters.at(0, 10)
    terms, weights = method.loss((outputs, stated), data, now), method.weights(now)
    assert terms["uncertainty"].item() == pytest.approx(sum(squares) / 7, rel=1e-9)
    expected = plain[task].aggregation(outputs, data.teacher, 3.0)
    assert terms["aggregation"].item() == pytest.approx(expected, rel=1e-9)
    assert weights == pytest.approx({"correctness": 0.3, "aggregation": 0.7, "uncertainty": 1.0})


@TASKS
def test_the_target_has_mean_0_and_deviation_1_on_the_training_split(
    task: str, setting: Callable[..., Setting], draw: Draw
) -> None:
    where = setting(task)
    method = KDUncertainty(KDUncertainty.Parameters(floor=1e-9), where)
    members = draw(4, 50, where.networks.outputs, scale=2)
    fitted = method.fit(Examples(draw(50, 3), torch.zeros(50), members), Generator())
    logs = np.log(epistemic(task, members))
    assert fitted["mean"].item() == pytest.approx(logs.mean(), rel=1e-9)
    assert fitted["scale"].item() == pytest.approx(logs.std(), rel=1e-9)


@TASKS
@pytest.mark.parametrize("target", ["log", "linear"])
def test_equal_members_give_a_finite_target(
    task: str, target: str, setting: Callable[..., Setting], batch: Callable[..., Batch], draw: Draw
) -> None:
    where = setting(task)
    method = KDUncertainty(KDUncertainty.Parameters.model_validate({"target": target}), where)
    members = draw(1, 50, where.networks.outputs).repeat(3, 1, 1)
    method.fitted = method.fit(Examples(draw(50, 3), torch.zeros(50), members), Generator())
    data = batch(where, method.build(Generator()))
    outputs = method.forward(data.network, data.x, Generator())
    assert all(term.isfinite() for term in method.loss(outputs, data, method.parameters).values())
    assert method.predict(outputs).epistemic.isfinite().all()


@TASKS
@pytest.mark.parametrize("target", ["log", "linear"])
def test_the_prediction_is_that_of_kd_with_the_stated_uncertainty(
    task: str, target: str, make: Make, draw: Draw
) -> None:
    method = make(task, target=target)
    outputs, stated = draw(1, 7, method.setting.networks.outputs), draw(1, 7, 1)
    kd = method.task.prediction(outputs)
    predicted = method.predict((outputs, stated))
    kind = StatedCategorical if task == "classification" else StatedGaussian
    assert isinstance(predicted, kind)
    values = method.fitted["mean"] + method.fitted["scale"] * stated.flatten()
    values = values.exp() if target == "log" else values
    expected = [min(max(v, 0), t) for v, t in zip(values.tolist(), kd.total.tolist(), strict=True)]
    np.testing.assert_allclose(predicted.epistemic.numpy(), expected, rtol=1e-12)
    torch.testing.assert_close(predicted.mean, kd.mean)
    torch.testing.assert_close(predicted.total, kd.total)
    y = torch.zeros(7, dtype=torch.int64 if task == "classification" else torch.float64)
    torch.testing.assert_close(predicted.log_prob(y), kd.log_prob(y))


@TASKS
def test_a_student_has_two_heads_on_one_core(task: str, make: Make) -> None:
    method = make(task)
    student = method.build(Generator().manual_seed(3)).double()
    outputs, stated = method.forward(student, torch.zeros(7, 3).double(), Generator())
    assert outputs.shape == (1, 7, method.setting.networks.outputs)
    assert stated.shape == (1, 7, 1)
    # A core of 3 × 5, and two linear heads.
    parameters = sum(parameter.numel() for parameter in student.parameters())
    assert parameters == 20 + 6 * method.setting.networks.outputs + 6
