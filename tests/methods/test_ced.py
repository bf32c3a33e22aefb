from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import expit, log_softmax, softmax
from torch import Tensor

from distillation_bench.methods import Batch, Setting
from distillation_bench.methods.ced import CED, intervals
from distillation_bench.methods.predictions import CredalInterval

Draw = Callable[..., Tensor]


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_intervals_are_the_extremes_of_the_members(temperature: float, draw: Draw) -> None:
    teacher = draw(5, 6, 4, scale=3)
    p, width, position = intervals(teacher, temperature)
    for n in range(6):
        members = softmax(teacher[:, n].numpy() / temperature, axis=-1)
        lower, upper = members.min(0), members.max(0)
        beta = (1 - lower.sum()) / (upper - lower).sum()
        assert position[n].item() == pytest.approx(beta, rel=1e-9)
        np.testing.assert_allclose(width[n].numpy(), upper - lower, rtol=1e-9)
        np.testing.assert_allclose(p[n].numpy(), lower + beta * (upper - lower), rtol=1e-9)
        assert p[n].sum().item() == pytest.approx(1, abs=1e-12)


def test_two_members_and_members_that_agree_have_their_mean_and_position_one_half(
    draw: Draw,
) -> None:
    pair, one = draw(2, 6, 4, scale=3), draw(1, 6, 4, scale=3)
    for teacher in (pair, one.repeat(4, 1, 1), one + 1e-9 * draw(4, 6, 4)):
        p, _, position = intervals(teacher)
        torch.testing.assert_close(p, teacher.softmax(-1).mean(0), atol=1e-6, rtol=0)
        torch.testing.assert_close(position, torch.full_like(position, 0.5))


def test_the_loss_equals_the_loop(
    setting: Callable[..., Setting], batch: Callable[..., Batch], draw: Draw
) -> None:
    where = setting(members=5)
    method = CED(CED.Parameters(temperature=2.5, widths=3.0, position=0.5), where)
    student = method.build(torch.Generator())
    teacher = draw(5, 7, 4, scale=3)
    data = replace(batch(where, student), teacher=teacher)
    outputs = method.forward(student, data.x, torch.Generator())
    assert outputs.shape == (1, 7, 9)
    expected = {"intersection": 0.0, "widths": 0.0, "position": 0.0}
    for n, row in enumerate(outputs[0].detach().numpy()):
        members = softmax(teacher[:, n].numpy() / 2.5, axis=-1)
        lower, width = members.min(0), members.max(0) - members.min(0)
        beta = (1 - lower.sum()) / width.sum()
        expected["intersection"] -= (lower + beta * width) @ log_softmax(row[:4]) / 7
        expected["widths"] += ((width - expit(row[4:8])) ** 2).mean() / 7
        expected["position"] += (beta - expit(row[8])) ** 2 / 7
    terms = {
        name: term.item() for name, term in method.loss(outputs, data, method.parameters).items()
    }
    assert terms == pytest.approx(expected, rel=1e-9)
    assert method.weights(method.parameters) == {"widths": 3.0, "position": 0.5}


def test_the_prediction_has_the_students_intervals(
    setting: Callable[..., Setting], draw: Draw
) -> None:
    method = CED(CED.Parameters(), setting())
    outputs = draw(1, 7, 9)
    predicted = method.predict(outputs)
    assert isinstance(predicted, CredalInterval)
    for n, row in enumerate(outputs[0].numpy()):
        p, width, beta = softmax(row[:4]), expit(row[4:8]), expit(row[8])
        np.testing.assert_allclose(predicted.mean[n].numpy(), p)
        np.testing.assert_allclose(predicted.lower[n].numpy(), (p - beta * width).clip(0))
        expected = (p + (1 - beta) * width).clip(None, 1)
        np.testing.assert_allclose(predicted.upper[n].numpy(), expected)


def test_a_student_that_knows_the_intervals_predicts_them(
    setting: Callable[..., Setting], draw: Draw
) -> None:
    method = CED(CED.Parameters(), setting())
    members = draw(5, 7, 4, scale=2)
    p, width, position = intervals(members)
    outputs = torch.cat([p.log(), width.logit(), position.logit()], -1)[None]
    predicted = method.predict(outputs)
    probabilities = members.softmax(-1)
    assert isinstance(predicted, CredalInterval)
    torch.testing.assert_close(predicted.lower, probabilities.amin(0))
    torch.testing.assert_close(predicted.upper, probabilities.amax(0))


@pytest.mark.parametrize("sign", [1, -1])
def test_extreme_outputs_give_finite_uncertainties(
    sign: int, setting: Callable[..., Setting]
) -> None:
    method = CED(CED.Parameters(), setting())
    outputs = sign * 1e4 * (1 - 2.0 * (torch.arange(63) % 2)).view(1, 7, 9)
    predicted = method.predict(outputs)
    for value in (predicted.total, predicted.aleatoric, predicted.epistemic):
        assert value.isfinite().all()
        assert (value >= 0).all()
