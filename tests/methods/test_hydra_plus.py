from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from distillation_bench.methods import Batch, Setting
from distillation_bench.methods.hydra_plus import HydraPlus, diversity
from distillation_bench.methods.networks import network_builder
from distillation_bench.methods.networks.heads import CoreAndHeads, core_and_heads, rows
from distillation_bench.methods.networks.mlp import BatchedLinear

Draw = Callable[..., Tensor]
MakeSetting = Callable[..., Setting]
MakeBatch = Callable[..., Batch]


def cosine(p: list[float], q: list[float], epsilon: float) -> float:
    product = sum(a * b for a, b in zip(p, q, strict=True))
    roots = [math.sqrt(sum(value * value for value in row) + epsilon) for row in (p, q)]
    return product / (roots[0] * roots[1] + epsilon)


EPSILON = 1e-8
LAYERS = (nn.Conv2d, nn.Linear, BatchedLinear)


def plain_diversity(layers: Iterable[Tensor], epsilon: float = 0.0) -> list[float]:
    """½(1 + cos) of each head's row to the mean row, one by one; layers are [S, rows, inputs]."""
    terms = []
    for layer in layers:
        for row in range(layer.shape[1]):
            heads = layer[:, row].tolist()
            mean = [sum(column) / len(heads) for column in zip(*heads, strict=True)]
            terms += [(1 + cosine(head, mean, epsilon)) / 2 for head in heads]
    return terms


def weights_and_biases(student: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    assert isinstance(student, CoreAndHeads)
    parameters: dict[str, Tensor] = dict(student.heads.named_parameters())
    weights = [p for name, p in parameters.items() if name.endswith("weight")]
    biases = [p for name, p in parameters.items() if name.endswith("bias")]
    assert len(weights) == len(biases) == len(parameters) / 2
    return weights, biases


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("heads", [None, 2, 5])
@pytest.mark.parametrize("normalise", [True, False])
def test_the_loss_is_that_of_the_paper(
    task: str,
    heads: int | None,
    normalise: bool,
    setting: MakeSetting,
    batch: MakeBatch,
    plain: Mapping[str, Any],
    generator: torch.Generator,
) -> None:
    """a[(1 − b) L2 + b L3] + (1 − a) L1 + λ L4, L2 at T = 1 and L3 at its own T."""
    where = setting(task)
    a, b, lam, temperature = 0.85, 0.3, 0.7, 5.0
    method = HydraPlus(
        HydraPlus.Parameters(
            heads=heads, temperature=temperature, a=a, b=b, lam=lam, normalise=normalise
        ),
        where,
    )
    student = method.build(generator)
    data = batch(where, student)
    outputs = method.forward(student, data.x, generator)
    assert len(outputs) == (heads or where.members)

    now = method.parameters.at(0, 10)
    weights = method.weights(now)
    terms = {name: term.item() for name, term in method.loss(outputs, data, now).items()}
    loops = plain[task]
    matrices, biases = weights_and_biases(student)
    if normalise:
        cosines = plain_diversity(matrices)
        l4 = sum(cosines) / len(cosines)
    else:
        l4 = sum(plain_diversity([*matrices, *biases], EPSILON))
    expected = {
        "correctness": loops.correctness(outputs, data.y),
        "aggregation": loops.aggregation(outputs, data.teacher, 1.0),
        "individuality": loops.individuality(outputs, data.teacher, temperature),
        "diversity": l4,
    }
    assert terms == pytest.approx(expected, rel=1e-10)
    l1, l2, l3, _ = expected.values()
    total = sum(weights.get(name, 1.0) * term for name, term in terms.items())
    assert total == pytest.approx(a * ((1 - b) * l2 + b * l3) + (1 - a) * l1 + lam * l4, rel=1e-10)


def test_the_sum_has_every_layer_and_bias(setting: MakeSetting, generator: torch.Generator) -> None:
    method = HydraPlus(HydraPlus.Parameters(), setting(head=[6, 7]))
    student = method.build(generator).double()
    weights, biases = weights_and_biases(student)
    terms = plain_diversity([*weights, *biases], EPSILON)
    assert len(terms) == 3 * 2 * (6 + 7 + 4)
    assert diversity(rows(student), normalise=False).item() == pytest.approx(sum(terms), rel=1e-12)


FAMILIES: Mapping[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "mlp": ({"member": [4], "core": [5], "head": [6, 7]}, (3,)),
    "lenet": ({"member": [2], "core": [3, 4], "head": [5]}, (2, 8, 8)),
    "resnet": ({"member": [2], "core": [3], "head": [4, 5], "blocks": 2}, (2, 8, 8)),
    "wide-resnet": ({"widen": 1, "depth": 10}, (2, 8, 8)),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_sum_is_of_convolutions_and_linear_layers_alone(
    family: str, generator: torch.Generator
) -> None:
    """Value and gradient, against loops over layers, heads and rows; no normalisation is in it."""
    options, shape = FAMILIES[family]
    networks = network_builder({"family": family, **options}, shape, 4)
    student = core_and_heads(networks, 3, generator).double()
    stack = getattr(student.heads, "network", student.heads)
    layers = [layer for layer in stack.modules() if isinstance(layer, LAYERS)]
    with torch.no_grad():
        for module in stack.modules():
            for name, parameter in module.named_parameters(recurse=False):
                # Scales of a normalisation start as ones in all heads: without any diversity.
                if not isinstance(module, LAYERS):
                    parameter.copy_(torch.randn(parameter.shape, generator=generator))
                assert name in ("weight", "bias")
    parameters = [p for layer in layers for p in layer.parameters(recurse=False)]
    expected = torch.zeros((), dtype=torch.float64)
    for parameter in parameters:
        flat = parameter.flatten(2) if parameter.dim() > 2 else parameter[..., None]
        for row in flat.unbind(1):
            for head in row:
                length = (head.square().sum() + EPSILON).sqrt()
                mean_length = (row.mean(0).square().sum() + EPSILON).sqrt()
                cosine = (head * row.mean(0)).sum() / (length * mean_length + EPSILON)
                expected = expected + (1 + cosine) / 2
    value = diversity(rows(student), normalise=False)
    assert value.item() == pytest.approx(expected.item(), rel=1e-12)
    gradients = torch.autograd.grad(value, list(stack.parameters()), materialize_grads=True)
    expected_gradients = torch.autograd.grad(
        expected, list(stack.parameters()), materialize_grads=True
    )
    for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, expected_gradient, rtol=1e-9, atol=1e-12)


def test_correction_divides_variances_between_members_by_one_less(
    setting: MakeSetting, batch: MakeBatch, generator: torch.Generator
) -> None:
    """Of 3 members and heads, the variance between them is 3/2 of the mixture's; as a loop."""
    where = setting("regression")
    parameters = {"correction": 1, "lam": 0.0}
    method = HydraPlus(HydraPlus.Parameters.model_validate(parameters), where)
    student = method.build(generator)
    data = batch(where, student)
    outputs = method.forward(student, data.x, generator)
    computed = method.loss(outputs, data, method.parameters.at(0, 1))["aggregation"].item()

    def gaussian(side: Tensor, example: int) -> tuple[float, float]:
        means, variances = side[:, example, 0].tolist(), side[:, example, 1].exp().tolist()
        return statistics.mean(means), statistics.mean(variances) + statistics.variance(means)

    terms = []
    for example in range(len(data.x)):
        (p, v), (q, w) = (gaussian(side, example) for side in (data.teacher, outputs))
        terms.append(0.5 * (math.log(w / v) + (v + (p - q) ** 2) / w - 1))
    assert computed == pytest.approx(statistics.mean(terms), rel=1e-10)


def test_correction_needs_two_heads_and_members(
    setting: MakeSetting, generator: torch.Generator
) -> None:
    for heads, members in ((1, 3), (None, 1)):
        parameters = HydraPlus.Parameters(heads=heads, correction=1)
        with pytest.raises(ValueError, match="two heads and members"):
            HydraPlus(parameters, setting("regression", members)).build(generator)


def test_diversity_of_known_angles() -> None:
    """Equal heads 1, opposed to the mean 0, two at a right angle ½(1 + cos 45°)."""
    parallel = torch.ones(3, 1, 2).double() * torch.tensor([1.0, 2.0, 3.0])[:, None, None]
    assert diversity([parallel]).item() == pytest.approx(1, rel=1e-12)
    right = torch.eye(2).double()[:, None]
    assert diversity([right]).item() == pytest.approx((1 + math.sqrt(0.5)) / 2, rel=1e-12)
    against = torch.tensor([[[3.0, 0.0]], [[-1.0, 0.0]]]).double()
    assert diversity([against]).item() == pytest.approx(0.5, rel=1e-12)


def copies(parameters: Mapping[str, Tensor]) -> dict[str, list[Tensor]]:
    """Heads with one hidden layer as [S, rows, features], in ways that leave all angles as are."""
    first, last = (parameters[f"layers.{layer}.weight"] for layer in (0, 1))
    return {
        "heads": [layer.repeat(2, 1, 1) for layer in (first, last)],
        "hidden width": [first.repeat(1, 2, 1), last.repeat(1, 1, 2)],
        "inputs": [first.repeat(1, 1, 2), last],
        "outputs": [first, last.repeat(1, 2, 1)],
        "scale": [10 * first, 0.1 * last],
    }


@pytest.mark.parametrize("copied", ["heads", "hidden width", "inputs", "outputs", "scale"])
def test_normalised_diversity_does_not_change_with_copies(
    copied: str, setting: MakeSetting, generator: torch.Generator
) -> None:
    method = HydraPlus(HydraPlus.Parameters(), setting(head=[6]))
    student = method.build(generator).double()
    assert isinstance(student, CoreAndHeads)
    layers = copies(dict(student.heads.named_parameters()))[copied]
    assert diversity(layers).item() == pytest.approx(diversity(rows(student)).item(), rel=1e-12)


@pytest.mark.parametrize("copied", ["heads", "outputs"])
def test_the_sum_doubles_with_copies(copied: str, draw: Draw) -> None:
    layer = draw(3, 4, 5)
    repeats = (2, 1, 1) if copied == "heads" else (1, 2, 1)
    once, twice = diversity([layer], False), diversity([layer.repeat(repeats)], False)
    assert twice.item() == pytest.approx(2 * once.item(), rel=1e-12)


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("kind", ["opposed heads", "a row of zeros"])
def test_diversity_has_a_gradient_at_any_weights(kind: str, normalise: bool, draw: Draw) -> None:
    layer = draw(2, 3, 4)
    if kind == "opposed heads":
        layer[1] = -layer[0]
    else:
        layer[:, 0] = 0
    layer.requires_grad_()
    value = diversity([layer], normalise)
    (gradient,) = torch.autograd.grad(value, layer)
    assert value.isfinite()
    assert gradient.isfinite().all()


@pytest.mark.parametrize(
    "schedule, epoch, lam",
    [
        ("linear(0, 0.1, 20, 150)", 20, 0.0),
        ("linear(0, 0.1, 20, 150)", 85, 0.05),
        # The ramp of the original code from epoch 20 to 150 reaches its end at 149.
        ("linear(0, 0.1, 20, 149)", 148, 0.1 * 128 / 129),
        ("linear(0, 0.1, 20, 149)", 149, 0.1),
        ("linear(0, 0.1, 20, 150)", 199, 0.1),
        ("cosine(4, 0, 0%, 50%)", 50, 2.0),
        (7, 3, 7.0),
    ],
)
def test_lambda_follows_its_schedule(
    schedule: str | int, epoch: int, lam: float, setting: MakeSetting
) -> None:
    method = HydraPlus(HydraPlus.Parameters.model_validate({"lam": schedule}), setting())
    weights = method.weights(method.parameters.at(epoch, 200))
    assert weights["diversity"] == pytest.approx(lam, abs=1e-12)


def test_every_parameter_may_have_a_schedule(setting: MakeSetting) -> None:
    schedules = {
        "a": "linear(0, 1, 0, 100)",
        "b": "linear(1, 0, 0, 100)",
        "lam": "linear(0, 8, 0, 8)",
    }
    method = HydraPlus(HydraPlus.Parameters.model_validate(schedules), setting())
    weights = method.weights(method.parameters.at(25, 100))
    expected = {"correctness": 0.75, "aggregation": 0.0625, "individuality": 0.1875}
    assert weights == pytest.approx(expected | {"diversity": 8.0}, rel=1e-12)
