from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn
from torch.distributions import Normal, kl_divergence

from distillation_bench.methods import METHODS, Batch, Method, Setting
from distillation_bench.methods.gauss import Gauss
from distillation_bench.methods.kd import KD
from distillation_bench.methods.mc_dropout import MCDropout
from distillation_bench.methods.networks.heads import DropoutLast, GaussianLast

Draw = Callable[..., Tensor]
MakeSetting = Callable[..., Setting]
MakeBatch = Callable[..., Batch]

TASKS = pytest.mark.parametrize("task", ["classification", "regression"])


class AsGiven(nn.Module):
    """A trunk whose features are its inputs: [B, F] -> [1, B, F]."""

    def forward(self, x: Tensor) -> Tensor:
        return x[None]


def stream(seed: int) -> Generator:
    return torch.Generator().manual_seed(seed)


def weighted(method: Method, outputs: Tensor, data: Batch) -> dict[str, float]:
    """Each term times its weight, as the engine adds them up."""
    now = method.parameters.at(0, 10)
    weights = method.weights(now)
    return {
        name: weights.get(name, 1.0) * term.item()
        for name, term in method.loss(outputs, data, now).items()
    }


# --- kd, single, ensemble ------------------------------------------------------------------------


@TASKS
def test_kd_is_hintons(
    task: str,
    setting: MakeSetting,
    batch: MakeBatch,
    plain: Mapping[str, Any],
    generator: Generator,
) -> None:
    """(1 − a) CE(y, z) + a T² KL(mean_m softmax(t_m/T) ‖ softmax(z/T))."""
    where = setting(task)
    method = KD(KD.Parameters(a=0.7, temperature=3.0), where)
    student = method.build(generator)
    data = batch(where, student)
    outputs = method.forward(student, data.x, generator)
    assert len(outputs) == 1
    loops = plain[task]
    expected = {
        "correctness": 0.3 * loops.correctness(outputs, data.y),
        "aggregation": 0.7 * loops.aggregation(outputs, data.teacher, 3.0),
    }
    assert weighted(method, outputs, data) == pytest.approx(expected, rel=1e-11)


@TASKS
def test_single_sees_labels_alone(
    task: str,
    setting: MakeSetting,
    batch: MakeBatch,
    plain: Mapping[str, Any],
    generator: Generator,
) -> None:
    where = setting(task)
    method = METHODS["single"](METHODS["single"].Parameters(), where)
    student = method.build(generator)
    data = batch(where, student)
    outputs = method.forward(student, data.x, generator)
    expected = {"correctness": plain[task].correctness(outputs, data.y)}
    assert weighted(method, outputs, data) == pytest.approx(expected, rel=1e-11)
    assert method.recipe == "teacher"


def test_ensemble_is_the_teacher_untrained(setting: MakeSetting, draw: Draw) -> None:
    where = setting(members=6)
    method = METHODS["ensemble"](METHODS["ensemble"].Parameters(), where)
    student = method.build(stream(0))
    x = draw(7, 3).float()
    assert torch.equal(method.forward(student, x, stream(0)), where.teacher()(x))
    assert list(method.stages(student, stream(0))) == []


# --- samples in the place of heads ---------------------------------------------------------------


@TASKS
@pytest.mark.parametrize("name", ["mc-dropout", "gauss"])
@pytest.mark.parametrize("samples", [None, 2, 5])
def test_samples_are_matched_to_members(
    task: str,
    name: str,
    samples: int | None,
    setting: MakeSetting,
    batch: MakeBatch,
    plain: Mapping[str, Any],
    generator: Generator,
) -> None:
    where = setting(task, examples=240)
    parameters = {"samples": samples, "a": 0.7, "temperature": 3.0}
    method = METHODS[name](METHODS[name].Parameters(**parameters), where)
    student = method.build(generator)
    data = batch(where, student)
    outputs = method.forward(student, data.x, generator)
    assert outputs.shape == (samples or where.members, 7, where.networks.outputs)
    loops = plain[task]
    expected = {
        "correctness": 0.3 * loops.correctness(outputs, data.y),
        "individuality": 0.7 * loops.individuality(outputs, data.teacher, 3.0),
    }
    actual = weighted(method, outputs, data)
    divergence = actual.pop("divergence", None)
    assert actual == pytest.approx(expected, rel=1e-11)
    assert (divergence is not None) == (name == "gauss")


@pytest.mark.parametrize("name", ["mc-dropout", "gauss"])
@pytest.mark.parametrize("training", [True, False])
def test_samples_come_from_the_generator_alone(
    name: str, training: bool, setting: MakeSetting, draw: Draw
) -> None:
    """Same seed, same bits, whatever the global state; on in evaluation as in training."""
    method = METHODS[name](METHODS[name].Parameters(), setting(head=[16]))
    student, x = method.build(stream(0)).train(training), draw(7, 3).float()
    if isinstance(student, GaussianLast):
        nn.init.zeros_(student.log_variances[0])
    torch.manual_seed(1)
    outputs = method.forward(student, x, stream(5))
    torch.manual_seed(2)
    assert torch.equal(outputs, method.forward(student, x, stream(5)))
    assert not torch.equal(outputs, method.forward(student, x, stream(6)))
    assert not torch.equal(outputs[0], outputs[1])


def energy(points: Sequence[Sequence[Sequence[float]]], same: bool) -> float:
    """E|a − b| over pairs of rows of two samples; over different rows if both are the same."""
    left, right = points
    pairs = [(a, b) for i, a in enumerate(left) for j, b in enumerate(right) if i != j or not same]
    return sum(math.dist(a, b) for a, b in pairs) / len(pairs)


@TASKS
@pytest.mark.parametrize("name", ["mc-dropout", "gauss"])
@pytest.mark.parametrize("samples", [None, 2, 5])
def test_samples_are_matched_to_the_members_distribution(
    task: str,
    name: str,
    samples: int | None,
    setting: MakeSetting,
    batch: MakeBatch,
    plain: Mapping[str, Any],
    generator: Generator,
) -> None:
    """2 E|p_s − p_m| − E|p_s − p_s'| − E|p_m − p_m'|, each pair of one example.

    p has the class probabilities, or μ/σ and ln σ²/√2, where ln σ of μ/σ is the members' mean.
    """
    where = setting(task, examples=240)
    parameters = {"samples": samples, "a": 0.7, "match": "distribution"}
    method = METHODS[name](METHODS[name].Parameters(**parameters), where)
    student = method.build(generator)
    data = batch(where, student)
    outputs = method.forward(student, data.x, generator)
    loops = plain[task]
    distances = []
    for example in range(7):
        rows = [side[:, example].tolist() for side in (outputs, data.teacher)]
        if task == "classification":
            sides = [[loops.kind.part(row, 1.0) for row in side] for side in rows]
        else:
            log_deviation = sum(row[1] / 2 for row in rows[1]) / len(rows[1])
            scale = math.exp(log_deviation)
            sides = [[(row[0] / scale, row[1] / math.sqrt(2)) for row in side] for side in rows]
        within = sum(energy((side, side), same=True) for side in sides)
        distances.append(2 * energy(sides, same=False) - within)
    expected = {
        "correctness": 0.3 * loops.correctness(outputs, data.y),
        "distribution": 0.7 * sum(distances) / 7,
    }
    actual = weighted(method, outputs, data)
    actual.pop("divergence", None)
    assert actual == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ["mc-dropout", "gauss"])
def test_a_single_sample_has_no_distribution(name: str, setting: MakeSetting) -> None:
    method = METHODS[name]
    parameters = method.Parameters.model_validate({"samples": 1, "match": "distribution"})
    with pytest.raises(ValueError, match="needs two samples"):
        method(parameters, setting()).build(stream(0))


@pytest.mark.parametrize("match, least, most", [("members", 0, 0.2), ("distribution", 0.8, 1.1)])
def test_only_the_distance_of_distributions_keeps_samples_apart(
    match: str, least: float, most: float, setting: MakeSetting
) -> None:
    """Members that disagree alike on every input: the samples' share of their deviation."""
    where = setting(members=8, outputs=2)
    parameters = {"match": match, "a": 1.0, "kl": 0.0, "log_variance": -2.0, "temperature": 1.0}
    method = METHODS["gauss"](METHODS["gauss"].Parameters.model_validate(parameters), where)
    student, noise = method.build(stream(0)), stream(1)
    x = torch.randn(64, 3, generator=stream(2))
    members = torch.linspace(-2, 2, 8)[:, None, None].expand(8, 64, 1)
    teacher = torch.cat([members, -members], -1)
    data = Batch(
        x,
        torch.zeros(64, dtype=torch.int64),
        teacher,
        student,
        "train",
        noise,
        nn.Identity(),
        nn.Identity(),
    )
    now = method.parameters.at(0, 1)
    optimizer = torch.optim.Adam(student.parameters(), 0.02)
    for _ in range(300):
        terms = method.loss(method.forward(student, x, noise), data, now)
        weights = method.weights(now)
        loss = sum(weights[name] * term for name, term in terms.items())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[union-attr]
        optimizer.step()
    with torch.no_grad():
        samples = student(x, 200, noise).softmax(-1)[..., 0]
    share = samples.std(0).mean() / teacher.softmax(-1)[..., 0].std(0).mean()
    assert least < share < most


# --- mc-dropout ----------------------------------------------------------------------------------


@pytest.fixture
def masks(setting: MakeSetting) -> Callable[..., Tensor]:
    """What becomes of features that are all 1 [passes, examples, 40], without a last layer."""

    def make(rate: float, passes: int, examples: int, seed: int = 3) -> Tensor:
        where = setting(outputs=40)
        method = MCDropout(MCDropout.Parameters(rate=rate, samples=passes), where)
        student = method.build(stream(0))
        assert isinstance(student, DropoutLast)
        student.trunk = AsGiven()
        student.last.weight = nn.Parameter(torch.eye(40)[None])
        student.last.bias = nn.Parameter(torch.zeros(1, 40, 1))
        return method.forward(student, torch.ones(examples, 40), stream(seed)).detach()

    return make


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_keeps_its_share_and_the_mean(rate: float, masks: Callable[..., Tensor]) -> None:
    values = masks(rate, 50, 20)
    rate = round(rate * 2**16) / 2**16
    is_kept = values != 0
    torch.testing.assert_close(values[is_kept], torch.full((int(is_kept.sum()),), 1 / (1 - rate)))
    error = math.sqrt(rate * (1 - rate) / values.numel())
    assert abs(is_kept.float().mean().item() - (1 - rate)) < 5 * error


def test_no_rate_drops_nothing(masks: Callable[..., Tensor]) -> None:
    assert torch.equal(masks(0.0, 5, 4), torch.ones(5, 4, 40))


def test_masks_differ_per_pass_and_example(masks: Callable[..., Tensor]) -> None:
    rows = masks(0.5, 50, 20).flatten(0, 1)
    assert len({tuple(row) for row in rows.tolist()}) == len(rows)
    # Independent: two masks agree in half of the features.
    agree = ((rows[:-1] != 0) == (rows[1:] != 0)).double().mean().item()
    assert abs(agree - 0.5) < 5 * 0.5 / math.sqrt(rows[1:].numel())


def test_the_trunk_is_passed_once(setting: MakeSetting, draw: Draw) -> None:
    method = MCDropout(MCDropout.Parameters(samples=9), setting(head=[16]))
    student = method.build(stream(0))
    assert isinstance(student, DropoutLast)
    shapes: list[torch.Size] = []
    student.trunk.register_forward_hook(lambda _, inputs, __: shapes.append(inputs[0].shape))
    method.forward(student, draw(7, 3).float(), stream(0))
    assert shapes == [(7, 3)]


# --- gauss ---------------------------------------------------------------------------------------


@pytest.fixture
def gauss(setting: MakeSetting, draw: Draw) -> tuple[Gauss, GaussianLast]:
    """A last layer of 5 features with means and variances of every size, in float64."""
    method = Gauss(Gauss.Parameters(samples=20_000, kl=0.5), setting(examples=45_000))
    student = method.build(stream(0)).double()
    assert isinstance(student, GaussianLast)
    with torch.no_grad():
        for parameter in student.posterior():
            parameter.copy_(draw(*parameter.shape))
    return method, student


def test_gauss_samples_have_the_posteriors_moments(
    gauss: tuple[Gauss, GaussianLast], draw: Draw
) -> None:
    """a ~ N(x μ + μ_b, x² σ² + σ_b²), independent over passes, examples and outputs."""
    method, student = gauss
    student.trunk = AsGiven()
    x = draw(3, 5)
    draws = method.forward(student, x, stream(0)).detach()
    mean = x @ student.last.weight[0].T + student.last.bias[0].T
    weight, bias = (log_variance[0].exp() for log_variance in student.log_variances)
    variance = x**2 @ weight.T + bias.T
    n = len(draws)
    assert draws.shape == (n, 3, 4)
    assert ((draws.mean(0) - mean).abs() < 5 * (variance / n).sqrt()).all()
    # The variance of a Gaussian's sample variance is 2 σ⁴/(n − 1).
    assert ((draws.var(0) - variance).abs() < 5 * variance * math.sqrt(2 / (n - 1))).all()
    between = torch.corrcoef(draws.flatten(1).T) - torch.eye(12)
    assert between.abs().max() < 5 / math.sqrt(n)
    scaled = (draws - mean) / variance.sqrt()
    assert (scaled[1:] * scaled[:-1]).mean(0).abs().max() < 5 / math.sqrt(n)


def test_gauss_divergence_is_the_kl_to_the_prior(
    gauss: tuple[Gauss, GaussianLast], draw: Draw, batch: MakeBatch
) -> None:
    method, student = gauss
    means = list(student.last.parameters())
    expected = sum(
        kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum().item()
        for mean, log_variance in zip(means, student.log_variances, strict=True)
    )
    assert student.divergence().item() == pytest.approx(expected, rel=1e-12)
    data = batch(method.setting, student)
    terms = weighted(method, draw(3, 7, 4), data)
    assert terms["divergence"] == pytest.approx(0.5 * expected / 45_000, rel=1e-12)


def test_gauss_starts_at_its_variance(setting: MakeSetting) -> None:
    method = Gauss(Gauss.Parameters(log_variance=-7.0), setting())
    student = method.build(stream(0))
    assert isinstance(student, GaussianLast)
    for mean, log_variance in zip(student.last.parameters(), student.log_variances, strict=True):
        assert mean.shape == log_variance.shape
        assert (log_variance == -7).all()


def test_the_posterior_and_nothing_else_is_undecayed(gauss: tuple[Gauss, GaussianLast]) -> None:
    method, student = gauss
    (group,) = method.groups(student)
    assert (group.rate, group.decay) == (1, 0)
    free = {id(parameter) for parameter in group.parameters}
    names = {name for name, parameter in student.named_parameters() if id(parameter) in free}
    assert names == {"last.weight", "last.bias", "log_variances.0", "log_variances.1"}
    assert {name for name, _ in student.named_parameters()} - names == {
        "trunk.layers.0.weight",
        "trunk.layers.0.bias",
    }


def test_posterior_gradients_are_those_of_sampled_weights(
    gauss: tuple[Gauss, GaussianLast], draw: Draw
) -> None:
    """E (a²) over samples has the gradient of its closed form mean² + variance."""
    method, student = gauss
    student.trunk = AsGiven()
    x = draw(2, 5)
    mean = x @ student.last.weight[0].T + student.last.bias[0].T
    weight, bias = (log_variance[0].exp() for log_variance in student.log_variances)
    closed = (mean**2 + x**2 @ weight.T + bias.T).sum()
    parameters = list(student.posterior())

    def gradients(seed: int) -> tuple[Tensor, ...]:
        sampled = method.forward(student, x, stream(seed)).square().mean(0).sum()
        return torch.autograd.grad(sampled, parameters)

    repeats = [torch.stack(gradient) for gradient in zip(*map(gradients, range(20)), strict=True)]
    for actual, expected in zip(repeats, torch.autograd.grad(closed, parameters), strict=True):
        torch.testing.assert_close(actual.mean(0), expected, rtol=0.05, atol=0.05)
