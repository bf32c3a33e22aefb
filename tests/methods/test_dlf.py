"""DLF against the model's formula, its limits, and members that are draws of a known process."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from distillation_bench.methods import Batch, Method, Setting
from distillation_bench.methods.dlf import DLF
from distillation_bench.methods.factor_model import FactorNetwork, FreeFactors

Draw = Callable[..., Tensor]
MakeSetting = Callable[..., Setting]
MakeBatch = Callable[..., Batch]

TASKS = pytest.mark.parametrize("task", ["classification", "regression"])


def stream(seed: int) -> Generator:
    return torch.Generator().manual_seed(seed)


def made(where: Setting, **parameters: Any) -> tuple[DLF, FactorNetwork]:
    """A method and a student, whose L and σ² are not those of the start."""
    method = DLF(DLF.Parameters.model_validate(parameters), where)
    student = method.build(stream(0))
    assert isinstance(student, FactorNetwork)
    with torch.no_grad():
        student.mixing.copy_(torch.randn(student.mixing.shape, generator=stream(1)))
        student.log_noise.fill_(-0.7)
    return method, student


def terms(method: Method, data: Batch) -> dict[str, float]:
    found = method.step(data, method.parameters.at(0, 10))
    return {name: term.item() for name, term in found.items()}


def members_values(task: str, teacher: Tensor, smoothing: float) -> list[list[list[float]]]:
    """Outputs [M, B, K] or, of logits, ln p̃ minus its mean over the classes."""
    if task == "regression":
        values: list[list[list[float]]] = teacher.tolist()
        return values
    values = []
    for member in teacher.tolist():
        rows = []
        for logits in member:
            total = sum(math.exp(value) for value in logits)
            logs = [
                math.log((1 - smoothing) * math.exp(value) / total + smoothing / len(logits))
                for value in logits
            ]
            rows.append([log - sum(logs) / len(logs) for log in logs])
        values.append(rows)
    return values


@TASKS
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_first_stage_is_the_likelihood_of_free_factors(
    task: str, smoothing: float, setting: MakeSetting, batch: MakeBatch
) -> None:
    """½ (f − μ − L z Φ)²/σ² + ½ ln σ², one number at a time; z has mean 0 over members."""
    method, student = made(setting(task), factors=2, smoothing=smoothing, floor=0.1)
    free = method.stages(student, stream(2))[0].network
    assert isinstance(free, FreeFactors)
    data = batch(method.setting, free, "initialise")
    width = method.setting.networks.outputs
    outputs = student(data.x)[0].tolist()
    mixing = student.mixing.tolist()
    z = free.z.tolist()
    noise = 0.1 + math.exp(student.log_noise.item())
    squares = 0.0
    for m, member in enumerate(members_values(task, data.teacher, smoothing)):
        for row, output in zip(member, outputs, strict=True):
            mean, features = output[:width], output[width:]
            predicted = []
            for k in range(width):
                value = mean[k]
                for j in range(k + 1):
                    for i in range(2):
                        factor = z[m][j][i] - sum(other[j][i] for other in z) / len(z)
                        value += mixing[k][j] * factor * features[i]
                predicted.append(value)
            if task == "classification":
                shift = sum(predicted) / width
                predicted = [value - shift for value in predicted]
            squares += sum((a - b) ** 2 for a, b in zip(row, predicted, strict=True))
    degrees = width - 1 if task == "classification" else width
    expected = squares / (2 * noise * 3 * 7 * degrees) + math.log(noise) / 2
    found = terms(method, data)
    assert found["likelihood"] == pytest.approx(expected, rel=1e-9)
    assert set(found) == {"likelihood", "penalty"}
    assert method.weights(method.parameters) == {"penalty": 1.0}


@TASKS
@pytest.mark.parametrize("covariance", ["pointwise", "joint"])
def test_the_second_stage_has_the_gradient_of_the_marginal_likelihood(
    task: str, covariance: str, setting: MakeSetting, batch: MakeBatch
) -> None:
    """By differences of −ln N(f; μ, Φ·Φ' L Lᵀ + σ² I), with respect to each part of the student."""
    method, student = made(setting(task), factors=2, covariance=covariance)
    data = batch(method.setting, student, "em")
    width = method.setting.networks.outputs
    values = torch.tensor(members_values(task, data.teacher, 1e-4), dtype=torch.float64)
    is_classes = task == "classification"

    def marginal() -> Tensor:
        mean, features = student(data.x)[0].split([width, 2], dim=-1)
        mixing, noise = student.mixing.tril(), 1e-3 + student.log_noise.exp()
        if is_classes:
            # In an orthonormal basis of the numbers that sum to 0.
            ones = torch.cat([torch.ones(width, 1), torch.eye(width)[:, 1:]], 1).double()
            basis = torch.linalg.qr(ones)[0][:, 1:]
        else:
            basis = torch.eye(width, dtype=torch.float64)
        mixing = basis.T @ mixing
        grams = features @ features.T
        if covariance == "pointwise":
            grams = grams * torch.eye(7)
        full = torch.kron(grams, mixing @ mixing.T)
        full = full + noise * torch.eye(len(full), dtype=torch.float64)
        normal = torch.distributions.MultivariateNormal((mean @ basis).flatten(), full)
        log_prob: Tensor = normal.log_prob((values @ basis).flatten(1))  # type: ignore[no-untyped-call]
        total: Tensor = -log_prob.sum() / (3 * 7 * basis.shape[1])
        return total

    parameters = list(student.parameters())
    loss = method.step(data, method.parameters.at(0, 10))["em"]
    gradients = torch.autograd.grad(loss, parameters)
    for actual, expected in zip(
        gradients, torch.autograd.grad(marginal(), parameters), strict=True
    ):
        torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("stage", [0, 1])
def test_a_constant_in_all_logits_changes_nothing(
    stage: int, setting: MakeSetting, batch: MakeBatch
) -> None:
    method, student = made(setting(), smoothing=0.0)
    network = method.stages(student, stream(2))[stage].network
    data = batch(method.setting, network, "any")
    shifted = Batch(**{**vars(data), "teacher": data.teacher + torch.randn(3, 7, 1)})
    assert terms(method, shifted) == pytest.approx(terms(method, data), rel=1e-9)
    x = data.x
    before = method.infer(student, x, stream(3)).softmax(-1)
    with torch.no_grad():
        last = list(student.network.heads.parameters())[-1]
        last[0, :4] += 5
    torch.testing.assert_close(method.infer(student, x, stream(3)).softmax(-1), before)


@TASKS
def test_a_prediction_has_the_same_functions_for_all_inputs(
    task: str, setting: MakeSetting, draw: Draw
) -> None:
    """μ + L Z Φ for each draw of Z, in one batch as in many."""
    method, student = made(setting(task), factors=2, noise=False, draws=6)
    x = draw(7, 3).float()
    outputs = method.infer(student, x, stream(0))
    parts = [method.infer(student, row[None], stream(1)) for row in x]
    torch.testing.assert_close(torch.cat(parts, 1), outputs)
    model = student.model(student(x))
    torch.testing.assert_close(outputs, model.functions(student.draws.double()).float())
    assert outputs.std(0).min() > 0
    passes = method.passes(student, torch.cat([x, x]), 9, stream(2))
    assert len(passes) == 9
    torch.testing.assert_close(passes[:, :7], passes[:, 7:])


def test_noise_has_its_variance(setting: MakeSetting, draw: Draw) -> None:
    method, student = made(setting("regression"), factors=0, draws=20_000)
    x = draw(3, 3).float()
    outputs = method.infer(student, x, stream(0)).detach()
    variance = 1e-3 + math.exp(-0.7)
    error = math.sqrt(2 / 20_000)
    assert ((outputs.var(0) / variance - 1).abs() < 5 * error).all()
    mean = student(x)[0]
    assert ((outputs.mean(0) - mean).abs() < 5 * math.sqrt(variance / 20_000)).all()


@TASKS
def test_without_factors_it_is_a_regression_of_the_members_mean(
    task: str, setting: MakeSetting, batch: MakeBatch
) -> None:
    method, student = made(setting(task), factors=0, noise=False)
    (stage,) = method.stages(student, stream(2))
    assert (stage.name, stage.share, stage.network) == ("em", 1.0, student)
    data = batch(method.setting, student, "em")
    values = torch.tensor(members_values(task, data.teacher, 1e-4), dtype=torch.float64)
    mean = student(data.x)[0]
    if task == "classification":
        mean = mean - mean.mean(-1, keepdim=True)
    degrees = 3 if task == "classification" else 2
    noise = 1e-3 + student.log_noise.exp()
    squares = (mean - values.mean(0)).square().sum() / (2 * noise * 7 * degrees)
    loss = method.step(data, method.parameters.at(0, 10))["em"]
    weights = list(student.network.parameters())
    for actual, expected in zip(
        torch.autograd.grad(loss, weights), torch.autograd.grad(squares, weights), strict=True
    ):
        torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-12)
    outputs = method.infer(student, data.x, stream(0))
    torch.testing.assert_close(outputs, outputs[:1].expand_as(outputs))


@pytest.mark.parametrize("covariance", ["pointwise", "joint"])
def test_members_of_a_known_process_are_recovered(covariance: str, setting: MakeSetting) -> None:
    """Logits μ(x) + z_m s(x) u: the mean and the deviation of the student's, on each input."""
    where = setting(members=20)
    method = DLF(
        DLF.Parameters.model_validate({"factors": 3, "covariance": covariance, "draws": 500}), where
    )
    student = method.build(stream(0))
    x = torch.randn(64, 3, generator=stream(1))
    z = torch.randn(20, 4, generator=stream(2))
    z = (z - z.mean(0)) / z.std(0)
    mean, spread = torch.cat([x, -x.sum(1, keepdim=True)], 1), 0.3 + x[:, :1].sigmoid()
    teacher = mean + z[:, None] * spread
    for stage in method.stages(student, stream(3)):
        parameters = list(stage.network.parameters())
        optimizer = torch.optim.Adam(parameters, 0.02)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 300)
        for step in range(300):
            data = Batch(
                x,
                x[:, 0],
                teacher,
                stage.network,
                stage.name,
                stream(step),
                stage.network,
                stage.network,
            )
            losses = method.step(data, method.parameters.at(0, 10))
            gradients = torch.autograd.grad(sum(losses.values()), parameters)  # type: ignore[arg-type]
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            optimizer.step()
            schedule.step()
    outputs = method.infer(student, x, stream(9)).detach()
    logits = outputs - outputs.mean(-1, keepdim=True)
    expected = teacher - teacher.mean(-1, keepdim=True)
    assert (logits.mean(0) - expected.mean(0)).abs().mean() < 0.1
    # Maximum likelihood divides by M, and 500 draws have an error of a few percent.
    ratio = logits.var(0).sum(-1) / expected.var(0, correction=0).sum(-1)
    assert abs(ratio.mean() - 1) < 0.1
    assert ratio.std() < 0.2
