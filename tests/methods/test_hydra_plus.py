from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from methods import Batch, Setting
from methods.hydra_plus import HydraPlus, diversity
from methods.networks.heads import CoreAndHeads, rows

Draw = Callable[..., Tensor]
MakeSetting = Callable[..., Setting]
MakeBatch = Callable[..., Batch]


def cosine(one: list[float], other: list[float], epsilon: float) -> float:
    product = sum(a * b for a, b in zip(one, other, strict=True))
    roots = [math.sqrt(sum(value * value for value in row) + epsilon) for row in (one, other)]
    return product / (roots[0] * roots[1] + epsilon)


SEED_EPSILON = 1e-8


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
def test_the_loss_is_the_papers(
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
        l4 = sum(plain_diversity([*matrices, *biases], SEED_EPSILON))
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
    terms = plain_diversity([*weights, *biases], SEED_EPSILON)
    assert len(terms) == 3 * 2 * (6 + 7 + 4)
    assert diversity(rows(student), normalise=False).item() == pytest.approx(sum(terms), rel=1e-12)


def test_diversity_of_known_angles() -> None:
    """Equal heads 1, opposed to the mean 0, two at a right angle ½(1 + cos 45°)."""
    same = torch.ones(3, 1, 2).double() * torch.tensor([1.0, 2.0, 3.0])[:, None, None]
    assert diversity([same]).item() == pytest.approx(1, rel=1e-12)
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
def test_normalised_diversity_does_not_see_copies(
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
    given = {"a": "linear(0, 1, 0, 100)", "b": "linear(1, 0, 0, 100)", "lam": "linear(0, 8, 0, 8)"}
    method = HydraPlus(HydraPlus.Parameters.model_validate(given), setting())
    weights = method.weights(method.parameters.at(25, 100))
    expected = {"correctness": 0.75, "aggregation": 0.0625, "individuality": 0.1875}
    assert weights == pytest.approx(expected | {"diversity": 8.0}, rel=1e-12)
