"""Controls: `temperature`, `sub-ensemble` and `small-ensemble`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from torch import Generator, Tensor

from distillation_bench.bench.metrics.temperature_scaling import fit_temperature
from distillation_bench.methods import Batch, Examples, Method, Setting
from distillation_bench.methods.networks import NetworkOptions, network_builder
from distillation_bench.methods.networks.frozen import Frozen
from distillation_bench.methods.networks.heads import CoreAndHeads, JoinedHeads
from distillation_bench.methods.networks.resnet import BatchNorm
from distillation_bench.methods.single import Single
from distillation_bench.methods.small_ensemble import SmallEnsemble
from distillation_bench.methods.sub_ensemble import SubEnsemble
from distillation_bench.methods.temperature import (
    TemperatureScaling,
    best_temperature,
    variance_scale,
)

Draw = Callable[..., Tensor]
MakeSetting = Callable[..., Setting]
MakeBatch = Callable[..., Batch]

TASKS = pytest.mark.parametrize("task", ["classification", "regression"])


def stream(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


def weighted(method: Method, outputs: Tensor, data: Batch) -> dict[str, float]:
    """Each term times its weight, as the engine adds them up."""
    now = method.parameters.at(0, 10)
    weights = method.weights(now)
    terms = method.loss(outputs, data, now)
    return {name: weights.get(name, 1.0) * term.item() for name, term in terms.items()}


# --- temperature ---------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0, 100.0])
def test_the_temperature_has_the_highest_likelihood(scale: float, draw: Draw) -> None:
    logits = draw(400, 4, scale=scale)
    y = torch.distributions.Categorical(logits=logits / scale).sample()  # type: ignore[no-untyped-call]

    def nll(log_temperature: float) -> float:
        log_p = log_softmax(logits.numpy() / math.exp(log_temperature), axis=-1)
        return float(-np.mean([row[k] for row, k in zip(log_p, y.tolist(), strict=True)]))

    bounds = (-math.log(20), math.log(20))
    best = minimize_scalar(nll, bounds=bounds, method="bounded", options={"xatol": 1e-9})
    temperature = best_temperature(logits, y).item()
    assert math.log(temperature) == pytest.approx(best.x, abs=1e-5)
    assert temperature == pytest.approx(fit_temperature(logits.numpy(), y.numpy()), rel=1e-6)


def test_the_temperature_is_at_a_bound_if_there_is_no_optimum(draw: Draw) -> None:
    logits = draw(50, 4)
    assert best_temperature(logits, logits.argmax(-1)).item() == pytest.approx(1 / 20)
    assert best_temperature(logits, logits.argmin(-1)).item() == pytest.approx(20)


def test_the_scale_of_variances_has_the_highest_likelihood(draw: Draw) -> None:
    outputs, y = draw(1, 300, 2), draw(300, scale=3)
    squares = [
        (target - mean) ** 2 / math.exp(log_variance)
        for (mean, log_variance), target in zip(outputs[0].tolist(), y.tolist(), strict=True)
    ]
    scale = variance_scale(outputs, y).item()
    assert scale == pytest.approx(math.log(sum(squares) / 300), rel=1e-12)

    def nll(log_scale: float) -> float:
        return float(np.mean([0.5 * (s / math.exp(log_scale) + log_scale) for s in squares]))

    assert nll(scale) < min(nll(scale - 1e-3), nll(scale + 1e-3))


def test_exact_predictions_give_a_finite_scale() -> None:
    outputs = torch.zeros(1, 5, 2)
    assert variance_scale(outputs, torch.zeros(5)).item() == -15


@TASKS
def test_temperature_is_single_until_it_is_finished(
    task: str, setting: MakeSetting, draw: Draw, targets: Draw
) -> None:
    where = setting(task)
    method = TemperatureScaling(TemperatureScaling.Parameters(), where)
    student = method.build(stream()).double()
    single = Single(Single.Parameters(), where).build(stream()).double()
    x, y = draw(50, 3), targets(task, 50)
    outputs = method.infer(student, x, stream())
    assert torch.equal(outputs, single(x))

    finished = method.finish(student, Examples(x, y, draw(3, 50, where.networks.outputs)))
    after = method.infer(finished, x, stream())
    expected = outputs.clone()
    if task == "classification":
        expected /= fit_temperature(outputs[0].detach().numpy(), y.numpy())
    else:
        expected[..., 1] += variance_scale(outputs, y)
    torch.testing.assert_close(after, expected, rtol=1e-6, atol=1e-9)
    before, now = (method.predict(o).log_prob(y).mean() for o in (outputs, after))
    assert now > before


# --- sub-ensemble --------------------------------------------------------------------------------


@TASKS
@pytest.mark.parametrize("heads", [None, 2, 5])
def test_a_sub_ensemble_learns_labels_alone(
    task: str,
    heads: int | None,
    setting: MakeSetting,
    batch: MakeBatch,
    plain: Mapping[str, Any],
) -> None:
    where = setting(task)
    method = SubEnsemble(SubEnsemble.Parameters(heads=heads), where)
    student = method.build(stream())
    data = batch(where, student)
    outputs = method.forward(student, data.x, stream())
    assert len(outputs) == (heads or where.members)
    expected = {"correctness": plain[task].correctness(outputs, data.y)}
    assert weighted(method, outputs, data) == pytest.approx(expected, rel=1e-11)
    assert not method.taught


def test_the_core_is_trained_with_the_first_head_and_then_frozen(
    setting: MakeSetting, batch: MakeBatch
) -> None:
    where = setting(members=4)
    method = SubEnsemble(SubEnsemble.Parameters(first=0.3), where)
    student = method.build(stream())
    assert isinstance(student, CoreAndHeads) and isinstance(student.heads, JoinedHeads)
    first, second = method.stages(student, stream())
    assert (first.share, second.share) == pytest.approx((0.3, 0.7))
    head, others = (set(part.parameters()) for part in student.heads.joined)
    assert set(first.network.parameters()) == {*student.core.parameters(), *head}
    assert set(second.network.parameters()) == others
    x = batch(where, student).x
    outputs = [stage.network(x) for stage in (first, second)]
    assert torch.equal(torch.cat(outputs), student(x))
    assert len(outputs[0]) == 1 and len(outputs[1]) == 3


def test_an_unfrozen_sub_ensemble_has_one_stage(setting: MakeSetting) -> None:
    method = SubEnsemble(SubEnsemble.Parameters(frozen=False), setting())
    student = method.build(stream())
    (stage,) = method.stages(student, stream())
    assert (stage.network, stage.share) == (student, 1.0)


def test_a_sub_ensemble_of_one_head_is_refused(setting: MakeSetting) -> None:
    with pytest.raises(ValueError, match="two heads"):
        SubEnsemble(SubEnsemble.Parameters(), setting(members=1)).build(stream())


def test_joined_heads_have_the_rows_of_their_parts(setting: MakeSetting) -> None:
    networks = setting(head=[6]).networks
    parts = [networks.heads(count, stream(count)) for count in (1, 2)]
    joined = JoinedHeads(parts)
    assert joined.count == 3
    rows = [torch.cat(layers) for layers in zip(*(part.rows() for part in parts), strict=True)]
    assert len(rows) == 4
    assert all(torch.equal(a, b) for a, b in zip(joined.rows(), rows, strict=True))


def test_a_frozen_network_is_evaluated_and_has_no_gradient() -> None:
    norm = BatchNorm(2).train()
    frozen = Frozen(norm)
    x = torch.randn(8, 2, 3, 3, generator=stream())
    frozen.train()
    outputs = frozen(x)
    assert not outputs.requires_grad and not list(frozen.parameters())
    torch.testing.assert_close(outputs, x, rtol=1e-4, atol=1e-4)
    assert torch.equal(norm.running_mean, torch.zeros(2))


# --- small-ensemble ------------------------------------------------------------------------------


@TASKS
@pytest.mark.parametrize("networks", [None, 2, 5])
def test_small_networks_learn_their_members_and_labels(
    task: str,
    networks: int | None,
    setting: MakeSetting,
    batch: MakeBatch,
    plain: Mapping[str, Any],
) -> None:
    where = setting(task)
    parameters = SmallEnsemble.Parameters(networks=networks, a=0.7, temperature=3.0)
    method = SmallEnsemble(parameters, where)
    student = method.build(stream())
    data = batch(where, student)
    outputs = method.forward(student, data.x, stream())
    assert len(outputs) == (networks or where.members)
    loops = plain[task]
    expected = {
        "correctness": 0.3 * loops.correctness(outputs, data.y),
        "individuality": 0.7 * loops.individuality(outputs, data.teacher, 3.0),
    }
    assert weighted(method, outputs, data) == pytest.approx(expected, rel=1e-11)


def test_small_networks_share_nothing(setting: MakeSetting, draw: Draw) -> None:
    method = SmallEnsemble(SmallEnsemble.Parameters(), setting())
    student = method.build(stream())
    outputs = method.forward(student, draw(7, 3).float(), stream())
    for index, output in enumerate(outputs):
        parameters = list(student.parameters())
        for gradient in torch.autograd.grad(output.sum(), parameters, retain_graph=True):
            touched = gradient.flatten(1).any(1).nonzero()[:, 0].tolist()
            assert touched == [index]


WIDE = {"family": "wide-resnet", "widen": 4, "depth": 10}
NETWORKS: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "mlp": ({"family": "mlp", "member": [6], "core": [20, 10], "head": [8]}, (3,)),
    "lenet": ({"family": "lenet"}, (1, 8, 8)),
    "resnet": ({"family": "resnet", "width": 0.5, "blocks": 1}, (3, 8, 8)),
    "wide-resnet": (WIDE, (3, 8, 8)),
}


@pytest.mark.parametrize("family", NETWORKS)
@pytest.mark.parametrize("width", [0.5, 1.0])
def test_small_networks_have_a_share_of_a_students_widths(family: str, width: float) -> None:
    """Halved widths leave about a quarter of the parameters; at width 1 all of them are left."""
    description, shape = NETWORKS[family]
    networks = network_builder(description, shape, 4)
    of_network = sum(p.numel() for p in networks.network(stream()).parameters())
    small = networks.narrowed(width).stack(3, stream())
    parameters = sum(p.numel() for p in small.parameters()) / 3
    assert small(torch.zeros(2, *shape)).shape == (3, 2, 4)
    if width == 1:
        assert parameters == of_network
    else:
        assert 0.24 < parameters / of_network < 0.36


def test_a_family_of_one_width_is_refused() -> None:
    class Fixed(NetworkOptions):
        family = "fixed"

    assert Fixed().narrowed(1) == Fixed()
    with pytest.raises(ValueError, match="fixed have one width"):
        Fixed().narrowed(0.5)
