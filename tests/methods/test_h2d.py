"""H2D: the fit of a Dirichlet to samples, the loss by a plain loop, and what is kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import gammaln
from torch import Generator, Tensor

from distillation_bench.methods import Batch, Examples, Setting
from distillation_bench.methods.dirichlets import fitted
from distillation_bench.methods.h2d import H2D
from distillation_bench.methods.networks.two_heads import TwoHeads

MakeSetting = Callable[..., Setting]
MakeBatch = Callable[..., Batch]


def samples_of(alpha: Tensor, count: int) -> Tensor:
    """Log-probabilities [count, B, C] of draws."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return torch.distributions.Dirichlet(alpha).sample((count,)).clamp(min=1e-12).log()


ALPHAS = torch.tensor([[2.0, 3.0, 1.0], [0.5, 0.5, 4.0], [30.0, 10.0, 20.0]], dtype=torch.float64)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_fit_has_the_mean_and_the_most_likely_precision(weighted: bool) -> None:
    """Against a scalar search for the precision."""
    log_p = samples_of(ALPHAS, 12)
    weights = torch.linspace(1, 3, 12).double() if weighted else torch.ones(12).double()
    weights = weights / weights.sum()
    alpha = fitted(log_p, weights, 200, 1e6)
    for n in range(3):
        p, w = log_p[:, n].exp().numpy(), weights.numpy()
        mean, mean_log = w @ p, w @ log_p[:, n].numpy()

        def nll(log_precision: float, mean: Any = mean, mean_log: Any = mean_log) -> float:
            a = math.exp(log_precision) * mean
            return float(gammaln(a).sum() - gammaln(a.sum()) - ((a - 1) * mean_log).sum())

        best = math.exp(minimize_scalar(nll, (-2, 6), tol=1e-12).x)
        assert alpha[n].sum().item() == pytest.approx(best, rel=1e-5)
        assert (alpha[n] / alpha[n].sum()).tolist() == pytest.approx(mean.tolist(), rel=1e-12)


def test_ten_steps_recover_the_precision_of_many_samples() -> None:
    log_p = samples_of(ALPHAS, 20_000)
    alpha = fitted(log_p, torch.full((20_000,), 1 / 20_000).double(), 10, 1e6)
    torch.testing.assert_close(alpha, ALPHAS, rtol=0.05, atol=0)


def test_equal_samples_have_the_largest_precision() -> None:
    log_p = ALPHAS.log_softmax(-1).expand(5, -1, -1)
    alpha = fitted(log_p, torch.full((5,), 0.2).double(), 10, 1e4)
    assert alpha.sum(-1).tolist() == pytest.approx([1e4] * 3)


def plain_divergence(p: list[float], q: list[float]) -> float:
    digamma = torch.special.digamma
    p0, q0 = sum(p), sum(q)
    total = math.lgamma(p0) - math.lgamma(q0)
    for a, b in zip(p, q, strict=True):
        slope = digamma(torch.tensor(a).double()) - digamma(torch.tensor(p0).double())
        total += math.lgamma(b) - math.lgamma(a) + (a - b) * slope.item()
    return total


@pytest.mark.parametrize(("temperature", "offset"), [(1.0, 0.0), (2.0, 1.0)])
def test_the_loss_is_the_divergence_from_the_fit(
    temperature: float,
    offset: float,
    setting: MakeSetting,
    batch: MakeBatch,
    draw: Callable[..., Tensor],
    plain: Any,
) -> None:
    where = setting()
    parameters = H2D.Parameters(
        temperature=temperature, offset=offset, share=0.75, copies=2, smoothing=0.01, steps=3
    )
    method = H2D(parameters, where)
    data = batch(where, method.build(Generator()))
    first, second, copies = draw(1, 7, 4), draw(1, 7, 4), draw(2, 7, 4)
    found = method.loss((first, second, copies), data, method.parameters.at(0, 10))
    rows = torch.cat([data.teacher, copies]).softmax(-1) * 0.99 + 0.01 / 4
    weights = torch.tensor([0.25] * 3 + [0.125] * 2).double()
    targets = fitted(rows.log(), weights, 3, 1e4)
    total = sum(
        plain_divergence(
            [(a + offset) ** (1 / temperature) for a in targets[n].tolist()],
            [math.exp(z / temperature) for z in second[0, n].tolist()],
        )
        for n in range(7)
    )
    assert found["divergence"].item() == pytest.approx(total / 7, rel=1e-7)
    expected = plain["classification"].correctness(first, data.y)
    assert found["correctness"].item() == pytest.approx(expected, rel=1e-9)


def test_copies_are_the_classifiers_answers_to_noisy_features(setting: MakeSetting) -> None:
    where = setting()
    x = torch.randn(6, 3, generator=Generator().manual_seed(1))
    for noise, equal in ((0.0, True), (0.5, False)):
        method = H2D(H2D.Parameters(copies=4, noise=noise), where)
        student = method.build(Generator().manual_seed(2))
        first, _, copies = method.forward(student, x, Generator().manual_seed(3))
        assert copies.shape == (4, 6, 4) and not copies.requires_grad
        assert torch.allclose(copies, first.expand(4, -1, -1), atol=1e-5) == equal


def test_the_dirichlet_head_is_kept(setting: MakeSetting) -> None:
    method = H2D(H2D.Parameters(), setting())
    student = method.build(Generator().manual_seed(2))
    assert isinstance(student, TwoHeads)
    x = torch.randn(6, 3, generator=Generator().manual_seed(1))
    kept = method.finish(student, Examples(x, x[:, 0].long(), torch.zeros(3, 6, 4)))
    outputs = method.infer(kept, x, Generator())
    assert torch.equal(outputs, student.second(student.core(x)))
    assert torch.equal(outputs, method.infer(student, x, Generator()))
    parameters = sum(p.numel() for p in student.first.parameters())
    counts = [sum(p.numel() for p in module.parameters()) for module in (student, kept)]
    assert counts[0] - counts[1] == parameters
