from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import digamma, gammaln, polygamma, softmax
from torch import Tensor

from distillation_bench.methods import METHODS, Batch, Setting
from distillation_bench.methods.endd import EnDD, dirichlet_nll
from distillation_bench.methods.predictions import Dirichlet

Array = NDArray[np.float64]
Draw = Callable[..., Tensor]


def minka(p: Array) -> Array:
    """Maximum likelihood of a Dirichlet by Newton's method in ln α.

    The gradient and curvature are Minka's ("Estimating a Dirichlet distribution", 2000); steps in
    ln α, halved where the likelihood falls, keep α positive.
    """
    sufficient = np.log(p).mean(0)

    def likelihood(alpha: Array) -> float:
        return float(gammaln(alpha.sum()) - gammaln(alpha).sum() + ((alpha - 1) @ sufficient))

    log_alpha = np.zeros(p.shape[1])
    for _ in range(200):
        alpha = np.exp(log_alpha)
        slope = digamma(alpha.sum()) - digamma(alpha) + sufficient
        if np.abs(slope).max() < 1e-13:
            break
        curvature = polygamma(1, alpha.sum()) - np.diag(polygamma(1, alpha))
        hessian = alpha[:, None] * curvature * alpha + np.diag(alpha * slope)
        step = -np.linalg.solve(hessian, alpha * slope)
        if step @ (alpha * slope) < 0:
            step = alpha * slope
        while likelihood(np.exp(log_alpha + step)) < likelihood(alpha) - 1e-12:
            step /= 2
        log_alpha = log_alpha + step
    return np.exp(log_alpha)


@pytest.fixture(params=[[2.0, 5.0, 1.0], [0.4, 0.3, 0.6, 0.2], [60.0, 30.0]], ids=str)
def members(request: pytest.FixtureRequest) -> Array:
    """Probabilities of 40 members for one example, drawn from a Dirichlet."""
    return np.random.default_rng(7).dirichlet(request.param, 40)


def test_nll_equals_that_of_the_dirichlet(draw: Draw) -> None:
    logits, teacher = draw(6, 4), draw(5, 6, 4)
    members = torch.distributions.Dirichlet(logits.exp())
    expected = -members.log_prob(teacher.softmax(-1)).mean()  # type: ignore[no-untyped-call]
    assert dirichlet_nll(logits, teacher).item() == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 2.5, 10.0])
@pytest.mark.parametrize("smoothing", [0.0, 1e-4, 0.1])
def test_temperature_and_smoothing_equal_the_loop(
    temperature: float, smoothing: float, draw: Draw
) -> None:
    logits, teacher = draw(6, 4, scale=2), draw(5, 6, 4, scale=5)
    losses = []
    for n in range(6):
        alpha = np.exp(logits[n].numpy() / temperature)
        loss = gammaln(alpha).sum() - gammaln(alpha.sum())
        for member in teacher[:, n].numpy():
            p = softmax(member / temperature)
            smooth = (1 - smoothing) * (p - 1 / 4) + 1 / 4
            loss -= ((alpha - 1) * np.log(smooth)).sum() / 5
        losses.append(temperature**2 * loss)
    actual = dirichlet_nll(logits, teacher, temperature, smoothing).item()
    assert actual == pytest.approx(np.mean(losses), rel=1e-11)


def test_the_optimum_is_the_maximum_likelihood_dirichlet(members: Array) -> None:
    teacher = torch.from_numpy(np.log(members))[:, None]
    z = torch.zeros(1, members.shape[1], dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS(
        [z], max_iter=500, tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure() -> float:
        search.zero_grad()
        loss = dirichlet_nll(z, teacher)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    search.step(closure)  # type: ignore[no-untyped-call]
    np.testing.assert_allclose(z.detach().exp()[0].numpy(), minka(members), rtol=1e-6)


def test_no_gradient_at_the_maximum_likelihood_dirichlet(members: Array) -> None:
    teacher = torch.from_numpy(np.log(members))[:, None]
    z = torch.from_numpy(np.log(minka(members)))[None].requires_grad_()
    (gradient,) = torch.autograd.grad(dirichlet_nll(z, teacher), z)
    assert gradient.abs().max() < 1e-10


@pytest.mark.parametrize("smoothing", [0.0, 1e-4])
def test_extreme_outputs_give_finite_values_and_gradients(smoothing: float) -> None:
    ends = torch.tensor([-1e4, 0.0, 1e4])
    rows = torch.cartesian_prod(ends, ends, ends)
    logits = rows.clone().requires_grad_()
    loss = dirichlet_nll(logits, torch.stack([rows.roll(5, 0), rows]), 1.0, smoothing)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.isfinite()
    assert gradient.isfinite().all()


def test_the_loss_is_the_annealed_nll(
    setting: Callable[..., Setting],
    batch: Callable[..., Batch],
    generator: torch.Generator,
) -> None:
    where = setting()
    method = EnDD(EnDD.Parameters(smoothing=0.01), where)
    student = method.build(generator).double()
    data = batch(where, student)
    outputs = method.forward(student, data.x, generator)
    now = method.parameters.at(45, 90)
    temperature = 10 - 9 * (45 - 29.7) / (60.3 - 29.7)
    assert now.temperature == pytest.approx(temperature, rel=1e-12)
    terms = method.loss(outputs, data, now)
    assert list(terms) == ["dirichlet"]
    expected = dirichlet_nll(outputs[0], data.teacher, temperature, 0.01)
    assert terms["dirichlet"].item() == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize("epoch, temperature", [(0, 10), (29, 10), (61, 1), (89, 1)])
def test_annealing_is_flat_then_linear_then_one(epoch: int, temperature: float) -> None:
    assert EnDD.Parameters().at(epoch, 90).temperature == temperature


def test_predictions_are_at_temperature_one(setting: Callable[..., Setting], draw: Draw) -> None:
    method = EnDD(EnDD.Parameters(temperature=8.0), setting())
    outputs = draw(1, 6, 4)
    predicted = method.predict(outputs)
    assert isinstance(predicted, Dirichlet)
    torch.testing.assert_close(predicted.mean, outputs[0].softmax(-1))
    torch.testing.assert_close(predicted.scores["precision"], -outputs[0].logsumexp(-1))


def test_regression_is_refused_with_a_reason() -> None:
    assert METHODS["endd"] is EnDD
    assert set(EnDD.refuses) == {"regression"}
    assert "class probabilities" in EnDD.refuses["regression"]
