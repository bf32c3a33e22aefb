from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor

from distillation_bench.methods.tasks import TASKS, TaskTerms

Draw = Callable[..., Tensor]
Plain = Mapping[str, Any]

BOTH = pytest.mark.parametrize("name", ["classification", "regression"])
HEADS = pytest.mark.parametrize("heads", [1, 2, 3, 5, 7])
"""Fewer than, equal to and more than the three members, multiples or not."""
TERMS = pytest.mark.parametrize("term", ["correctness", "aggregation", "individuality"])
WIDTH = {"classification": 4, "regression": 2}


def value(task: TaskTerms, term: str, outputs: Tensor, teacher: Tensor, y: Tensor) -> Tensor:
    computed: Tensor = getattr(task, term)(outputs, y if term == "correctness" else teacher)
    return computed


@BOTH
@HEADS
@pytest.mark.parametrize("per_head", [False, True])
def test_correctness_is_the_mean_over_heads(
    name: str, heads: int, per_head: bool, draw: Draw, targets: Draw, plain: Plain
) -> None:
    outputs = draw(heads, 6, WIDTH[name])
    y = targets(name, heads, 6) if per_head else targets(name, 6)
    expected = plain[name].correctness(outputs, y)
    assert TASKS[name].correctness(outputs, y).item() == pytest.approx(expected, rel=1e-12)


@BOTH
@HEADS
@pytest.mark.parametrize("term", ["aggregation", "individuality"])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_terms_of_the_teacher_equal_the_loops(
    name: str, heads: int, term: str, temperature: float, draw: Draw, plain: Plain
) -> None:
    outputs, teacher = draw(heads, 6, WIDTH[name], scale=2), draw(3, 6, WIDTH[name], scale=2)
    actual = getattr(TASKS[name], term)(outputs, teacher, temperature)
    expected = getattr(plain[name], term)(outputs, teacher, temperature)
    assert actual.item() == pytest.approx(expected, rel=1e-11)


@BOTH
@pytest.mark.parametrize("temperature", [1.0, 8.0])
@pytest.mark.parametrize("repeats", [1, 2])
def test_a_copy_of_the_teacher_minimises_the_loss(
    name: str, temperature: float, repeats: int, draw: Draw
) -> None:
    teacher = draw(3, 6, WIDTH[name])
    task = TASKS[name]
    for term, outputs in (
        (task.individuality, teacher.repeat(repeats, 1, 1)),
        (task.aggregation, teacher.flip(0).repeat(repeats, 1, 1)),
    ):
        outputs.requires_grad_()
        loss = term(outputs, teacher, temperature)
        (gradient,) = torch.autograd.grad(loss, outputs)
        assert abs(loss.item()) < 1e-13 * temperature**2
        assert gradient.abs().max() < 1e-13 * temperature**2
        for _ in range(5):
            assert term(outputs.detach() + draw(*outputs.shape), teacher, temperature) > 1e-4


@BOTH
def test_correctness_is_minus_the_log_likelihood(name: str, draw: Draw, targets: Draw) -> None:
    """With the density's constant, as scipy has it, and as the prediction says."""
    outputs, y = draw(1, 6, WIDTH[name]), targets(name, 6)
    if name == "classification":
        log_p = (outputs[0].exp() / outputs[0].exp().sum(-1, keepdim=True)).log().numpy()
        expected = -log_p[np.arange(6), y.numpy()].mean()
    else:
        mean, deviation = outputs[0, :, 0].numpy(), np.exp(outputs[0, :, 1].numpy() / 2)
        expected = -norm.logpdf(y.numpy(), mean, deviation).mean()
    assert TASKS[name].correctness(outputs, y).item() == pytest.approx(expected, rel=1e-12)
    predicted = TASKS[name].prediction(outputs).log_prob(y)
    assert -predicted.mean().item() == pytest.approx(expected, rel=1e-12)


def test_hot_distillation_matches_centred_logits(draw: Draw) -> None:
    """T → ∞: T² KL tends to half the mean squared difference of centred logits."""
    outputs, teacher = draw(3, 6, 4), draw(3, 6, 4)
    difference = (teacher - teacher.mean(-1, keepdim=True)) - (
        outputs - outputs.mean(-1, keepdim=True)
    )
    task = TASKS["classification"]
    individual = task.individuality(outputs, teacher, 1e3).item()
    assert individual == pytest.approx(difference.square().mean().item() / 2, rel=1e-2)
    together = task.aggregation(outputs, teacher, 1e3).item()
    assert together == pytest.approx(difference.mean(0).square().mean().item() / 2, rel=1e-2)


@pytest.mark.parametrize("term", ["aggregation", "individuality"])
def test_a_temperature_has_no_effect_on_regression(term: str, draw: Draw) -> None:
    outputs, teacher = draw(2, 6, 2), draw(3, 6, 2)
    at = getattr(TASKS["regression"], term)
    assert at(outputs, teacher, 5.0) == at(outputs, teacher, 1.0)


@BOTH
@TERMS
@HEADS
def test_extreme_outputs_give_finite_values_and_gradients(name: str, term: str, heads: int) -> None:
    """Every combination of ±1e4 and 0, in float32, heads against other members."""
    ends = torch.tensor([-1e4, 0.0, 1e4])
    rows = torch.cartesian_prod(*[ends] * WIDTH[name])
    outputs = torch.stack([rows.roll(3 * s + 1, 0) for s in range(heads)]).requires_grad_()
    teacher = torch.stack([rows.roll(5 * m, 0) for m in range(3)])
    y = torch.arange(len(rows)) % 4 if name == "classification" else 1e4 * torch.ones(len(rows))
    loss = value(TASKS[name], term, outputs, teacher, y)
    (gradient,) = torch.autograd.grad(loss, outputs)
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert gradient.isfinite().all()


@BOTH
def test_prediction_keeps_every_head(name: str, draw: Draw, plain: Plain) -> None:
    outputs = draw(3, 6, WIDTH[name])
    kind = plain[name].kind
    predicted = TASKS[name].prediction(outputs)
    for n in range(6):
        mixture = kind.mixture([kind.part(row, 1.0) for row in outputs[:, n].tolist()])
        mean, total = mixture if name == "regression" else (mixture, None)
        np.testing.assert_allclose(predicted.mean[n].numpy(), mean, rtol=1e-12)
        if total is not None:
            assert predicted.total[n].item() == pytest.approx(total, rel=1e-12)
