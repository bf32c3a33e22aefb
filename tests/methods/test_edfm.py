"""EDFM: preconditioning, times, the sampler, and what each stage trains."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from distillation_bench.methods import Batch, Examples, Setting
from distillation_bench.methods.edfm import EDFM
from distillation_bench.methods.flow import (
    END,
    follow,
    matching_error,
    preconditioning,
    random_members,
    sampling_times,
    training_times,
)
from distillation_bench.methods.kd import KD
from distillation_bench.methods.networks.heads import CoreAndHeads
from distillation_bench.methods.networks.velocity import FeaturesAndVelocity

MakeSetting = Callable[..., Setting]
MakeBatch = Callable[..., Batch]
Draw = Callable[..., Tensor]

TASKS = pytest.mark.parametrize("task", ["classification", "regression"])


def stream(seed: int) -> Generator:
    return torch.Generator().manual_seed(seed)


# --- the flow ------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.5, 1.0, 4.0])
def test_preconditioning_is_the_regression_of_the_velocity(noise: float) -> None:
    """h = t h₁ + (1 − t) h₀ and u = h₁ − h₀, with variances 1 and σ²: slope and residual."""
    t = torch.linspace(0, 0.999, 11, dtype=torch.float64)
    skip, out, into = preconditioning(t, noise)
    for index, time in enumerate(t.tolist()):
        variance = time**2 + (1 - time) ** 2 * noise**2
        covariance = time - (1 - time) * noise**2
        residual = 1 + noise**2 - covariance**2 / variance
        assert into[index].item() == pytest.approx(variance**-0.5, rel=1e-12)
        assert skip[index].item() == pytest.approx(covariance / variance, rel=1e-12, abs=1e-12)
        assert out[index].item() == pytest.approx(math.sqrt(residual), rel=1e-6)


def test_times_have_a_density_that_grows_as_a_power_of_three() -> None:
    uniform = torch.linspace(0, 1, 101, dtype=torch.float64)
    t = training_times(uniform)
    assert (t[0].item(), t[-1].item()) == pytest.approx((0.0, END), abs=1e-12)
    # The distribution function of ∝ 3^t leads back.
    torch.testing.assert_close((3**t - 1) / (3**END - 1), uniform)


def test_steps_halve_what_is_left() -> None:
    times = sampling_times(7)
    assert (len(times), times[0], times[-1]) == (8, 0, 1)
    assert times[3] == pytest.approx((1 - 1 / 8) / (1 - 1 / 128))


def test_paths_to_one_point_end_there(draw: Draw) -> None:
    """Equal members: the velocity of a straight path is constant."""
    point, start = draw(4), draw(9, 5, 4)
    ends = follow(lambda h, t: (point - h) / (1 - t), start, 7)
    torch.testing.assert_close(ends, point.expand(9, 5, 4), rtol=1e-12, atol=1e-12)


MEAN, SCALE, NOISE = 0.7, 0.5, 4.0


def gaussian_velocity(h: Tensor, t: Tensor) -> Tensor:
    """The velocity for h₁ ~ N(μ, s²), by which paths lead to μ + s h₀/σ."""
    variance = t**2 * SCALE**2 + (1 - t) ** 2 * NOISE**2
    slope = (t * SCALE**2 - (1 - t) * NOISE**2) / variance
    return MEAN + slope * (h - t * MEAN)


def test_the_sampler_is_heuns_with_euler_at_the_end() -> None:
    for start in torch.tensor([[-5.0], [0.0], [3.0]], dtype=torch.float64):
        h = start
        for i in range(7):
            t, later = (
                torch.tensor((1 - 0.5**j) / (1 - 0.5**7), dtype=torch.float64) for j in (i, i + 1)
            )
            slope = gaussian_velocity(h, t)
            if i < 6:
                ahead = h + (later - t) * slope
                slope = (slope + gaussian_velocity(ahead, later)) / 2
            h = h + (later - t) * slope
        found = follow(gaussian_velocity, start, 7)
        torch.testing.assert_close(found, h, rtol=1e-12, atol=1e-12)


def test_the_sampler_carries_a_gaussian_over() -> None:
    """Within two standard deviations; the first step is half of the way, however many there are."""
    start = NOISE * torch.linspace(-2, 2, 41, dtype=torch.float64)[:, None]
    error = follow(gaussian_velocity, start, 7) - (MEAN + SCALE * start / NOISE)
    assert error.abs().max() < 0.1 * 2 * SCALE


def test_the_error_is_that_of_random_points_of_straight_paths(draw: Draw) -> None:
    data = draw(3, 5, 4)
    error = matching_error(lambda h, t: h.sin() + t[..., None], data, 2.0, stream(3))
    generator = stream(3)
    times = training_times(torch.rand(3, 5, generator=generator).double()).tolist()
    noise = torch.empty(3, 5, 4).double().normal_(0, 2.0, generator=generator).tolist()
    total = 0.0
    for d in range(3):
        for n in range(5):
            for c in range(4):
                t, h1, h0 = times[d][n], data[d, n, c].item(), noise[d][n][c]
                total += (math.sin(t * h1 + (1 - t) * h0) + t - (h1 - h0)) ** 2
    assert error.item() == pytest.approx(total / 60, rel=1e-5)


def test_members_are_drawn_for_each_example(draw: Draw) -> None:
    teacher = draw(3, 50, 4)
    chosen = random_members(teacher, 40, stream(1))
    matches = (chosen[:, None] == teacher[None]).all(-1)
    assert chosen.shape == (40, 50, 4) and bool((matches.sum(1) == 1).all())
    shares = matches.double().mean((0, 2))
    assert (shares - 1 / 3).abs().max() < 5 * math.sqrt(2 / 9 / 2000)


# --- the method ----------------------------------------------------------------------------------


def made(where: Setting, members: Tensor, **parameters: Any) -> tuple[EDFM, FeaturesAndVelocity]:
    method = EDFM(EDFM.Parameters.model_validate(parameters), where)
    x = torch.zeros(members.shape[1], 3)
    method.fitted = method.fit(Examples(x, x[:, 0], members), Generator())
    student = method.build(stream(0))
    assert isinstance(student, FeaturesAndVelocity)
    return method, student


@TASKS
def test_the_first_stage_is_kd(task: str, setting: MakeSetting, batch: MakeBatch) -> None:
    where = setting(task)
    data = batch(where, nn.Identity(), "kd")
    method, student = made(where, data.teacher)
    first, second = method.stages(student, stream(1))
    assert isinstance(first.network, CoreAndHeads) and first.network.core is student.trunk
    assert (first.share, second.share) == (0.5, 0.5)
    outputs = first.network.double()(data.x)
    now = method.parameters.at(0, 10)
    kd = KD(KD.Parameters(), where)
    assert method.loss(outputs, data, now) == kd.loss(outputs, data, kd.parameters.at(0, 10))
    assert method.weights(now) == kd.weights(kd.parameters.at(0, 10))


@TASKS
def test_the_second_stage_trains_the_velocity_alone(
    task: str, setting: MakeSetting, batch: MakeBatch
) -> None:
    where = setting(task)
    data = batch(where, nn.Identity())
    method, student = made(where, data.teacher.float())
    _, stage = method.stages(student, stream(1))
    trained = {id(parameter) for parameter in stage.network.parameters()}
    assert trained == {id(parameter) for parameter in student.velocity.parameters()}
    (group,) = method.groups(stage.network)
    assert group.rate == 0.3 and {id(p) for p in group.parameters} == trained


@TASKS
def test_samples_are_functions_of_the_inputs_alone(
    task: str, setting: MakeSetting, draw: Draw
) -> None:
    """The same noise for all inputs and streams, in one batch or several."""
    where = setting(task)
    method, student = made(where, draw(3, 7, where.networks.outputs).float(), samples=16)
    x = draw(6, 3).float()
    with torch.no_grad():
        whole = method.infer(student, x, stream(1))
        parts = [method.infer(student, part, stream(2)) for part in (x[:2], x[2:4], x[4:])]
    assert whole.shape == (16, 6, where.networks.outputs)
    torch.testing.assert_close(whole, torch.cat(parts, 1), rtol=1e-4, atol=1e-4)
