from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import digamma, gammaln
from torch import Tensor

from distillation_bench.methods import METHODS, Batch, Setting
from distillation_bench.methods.predictions import Dirichlet
from distillation_bench.methods.proxy_endd import ProxyEnDD

Draw = Callable[..., Tensor]
Compute = Callable[..., dict[str, Tensor]]


@pytest.fixture
def terms(setting: Callable[..., Setting], batch: Callable[..., Batch]) -> Compute:
    """terms(outputs, teacher, divergence="forward", …): the terms of the loss."""

    def compute(outputs: Tensor, teacher: Tensor, **parameters: Any) -> dict[str, Tensor]:
        where = setting(members=len(teacher))
        method = ProxyEnDD(ProxyEnDD.Parameters(**parameters), where)
        data = replace(batch(where, method.build(torch.Generator())), teacher=teacher)
        return dict(method.loss(outputs, data, method.parameters.at(0, 10)))

    return compute


def proxy_of(members: Any) -> tuple[Any, float]:
    """Mean and precision of members [M, C]."""
    mean = members.mean(0)
    spread = np.mean([(mean * np.log(mean / member)).sum() for member in members])
    return mean, (len(mean) - 1) / (2 * spread)


@pytest.mark.parametrize("scale", ["raw", "sum"])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_reverse_divergence_is_the_papers_loss_but_for_a_constant(
    scale: str, temperature: float, terms: Compute, draw: Draw
) -> None:
    """−Σ p̄_c e_c − H/B, e_c = ψ(α_c) − ψ(α₀), with the entropy H of Dir(α), against the loop."""
    teacher = draw(5, 1, 4, scale=3)
    mean, precision = proxy_of(torch.softmax(teacher[:, 0] / temperature, -1).numpy())
    scaled = precision + (4 if scale == "sum" else 0)

    def papers(z: Any) -> float:
        alpha = np.exp(z / temperature) + 1
        expected_log = digamma(alpha) - digamma(alpha.sum())
        entropy = gammaln(alpha).sum() - gammaln(alpha.sum()) - ((alpha - 1) * expected_log).sum()
        return float(-(mean * expected_log).sum() - entropy / scaled) * temperature**2

    def ours(z: Tensor) -> float:
        values = {"scale": scale, "temperature": temperature, "cap": 1e6}
        return terms(z[None], teacher, **values)["proxy"].item()

    first, second = draw(1, 4, scale=2), draw(1, 4, scale=2)
    gap = papers(first[0].numpy()) - papers(second[0].numpy())
    assert ours(first) - ours(second) == pytest.approx(gap, rel=1e-9)


@pytest.mark.parametrize("divergence", ["reverse", "forward"])
@pytest.mark.parametrize("scale", ["raw", "sum"])
def test_at_the_optimum_the_student_is_the_proxy_without_the_offset(
    divergence: str, scale: str, terms: Compute, draw: Draw
) -> None:
    teacher = draw(6, 1, 4, scale=0.5)
    mean, precision = proxy_of(torch.softmax(teacher[:, 0], -1).numpy())
    z = torch.zeros(1, 1, 4, dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS(
        [z], max_iter=1000, tolerance_grad=1e-13, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure() -> float:
        search.zero_grad()
        loss = terms(z, teacher, divergence=divergence, scale=scale)["proxy"]
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    search.step(closure)  # type: ignore[no-untyped-call]
    np.testing.assert_allclose(z.detach().softmax(-1)[0, 0].numpy(), mean, rtol=1e-4)
    total = precision + (4 if scale == "sum" else 0)
    assert z.detach().exp().sum().item() == pytest.approx(total, rel=1e-4)
    assert closure() == pytest.approx(0, abs=1e-9)


def test_the_precision_is_capped_and_the_share_is_recorded(terms: Compute, draw: Draw) -> None:
    agreeing = draw(1, 3, 4, scale=2).expand(5, -1, -1)
    spread = draw(5, 3, 4, scale=3)
    teacher = torch.cat([agreeing, spread], dim=1)
    log_mean = agreeing[0].log_softmax(-1)
    optimum = log_mean + math.log(500)
    outputs = torch.cat([optimum, torch.zeros(3, 4, dtype=torch.float64)])[None]
    values = terms(outputs, teacher, cap=500.0)
    assert values["capped"].item() == 0.5
    of_spread = terms(outputs[:, 3:], spread, cap=500.0)
    assert of_spread["capped"].item() == 0
    assert values["proxy"].item() == pytest.approx(of_spread["proxy"].item() / 2, rel=1e-6)


def test_the_share_at_the_cap_is_not_trained(setting: Callable[..., Setting]) -> None:
    method = ProxyEnDD(ProxyEnDD.Parameters(), setting())
    assert method.weights(method.parameters) == {"capped": 0.0}


@pytest.mark.parametrize("divergence", ["reverse", "forward"])
@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_extreme_outputs_give_finite_terms_and_gradients(
    divergence: str, offset: float, terms: Compute
) -> None:
    ends = torch.tensor([-1e4, 0.0, 1e4])
    rows = torch.cartesian_prod(ends, ends, ends)
    outputs = rows[None].clone().requires_grad_()
    teacher = torch.stack([rows.roll(5, 0), rows])
    loss = terms(outputs, teacher, divergence=divergence, offset=offset)["proxy"]
    (gradient,) = torch.autograd.grad(loss, outputs)
    assert loss.isfinite()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("kept", [0.0, 1.0])
def test_the_prediction_is_without_the_offset_unless_it_is_kept(
    kept: float, setting: Callable[..., Setting], draw: Draw
) -> None:
    method = ProxyEnDD(ProxyEnDD.Parameters(kept=kept), setting())
    outputs = draw(1, 6, 4)
    predicted = method.predict(outputs)
    assert isinstance(predicted, Dirichlet)
    alpha = outputs[0].exp() + kept
    torch.testing.assert_close(predicted.mean, alpha / alpha.sum(-1, keepdim=True))
    torch.testing.assert_close(predicted.scores["precision"], -alpha.sum(-1).log())


def test_regression_is_refused_with_a_reason() -> None:
    assert METHODS["proxy-endd"] is ProxyEnDD
    assert "class probabilities" in ProxyEnDD.refuses["regression"]
