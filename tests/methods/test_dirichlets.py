from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.special import digamma, gammaln
from scipy.stats import dirichlet
from torch import Tensor

from distillation_bench.methods.dirichlets import concentrations, divergence, proxy

Draw = Callable[..., Tensor]


def test_concentrations_are_exponentials_with_an_offset(draw: Draw) -> None:
    logits = draw(6, 4, scale=2).float()
    alpha = concentrations(logits, 2.5, 0.5)
    assert alpha.dtype == torch.float64
    expected = np.exp(logits.double().numpy() / 2.5) + 0.5
    np.testing.assert_allclose(alpha.numpy(), expected, rtol=1e-12)


def test_concentrations_of_extreme_logits_are_bounded() -> None:
    alpha = concentrations(torch.tensor([-1e4, 1e4]))
    np.testing.assert_allclose(alpha.numpy(), [math.exp(-30), math.exp(30)])


PAIRS = [([2.0, 5.0, 1.0], [1.0, 1.0, 3.0]), ([0.4, 0.6], [0.4, 0.6]), ([90.0, 20.0], [80.0, 2.0])]


@pytest.mark.parametrize("p, q", PAIRS, ids=str)
def test_divergence_is_the_mean_log_ratio_of_densities(p: list[float], q: list[float]) -> None:
    actual = divergence(torch.tensor([p]).double(), torch.tensor([q]).double()).item()
    draws = np.random.default_rng(3).dirichlet(p, 100_000).T
    ratios = dirichlet.logpdf(draws, p) - dirichlet.logpdf(draws, q)
    error = ratios.std(ddof=1) / math.sqrt(ratios.size)
    assert abs(actual - ratios.mean()) <= 5 * error + 1e-12


def test_divergence_equals_the_loop(draw: Draw) -> None:
    p, q = draw(6, 4, scale=2).exp(), draw(6, 4, scale=2).exp()
    for n, actual in enumerate(divergence(p, q).tolist()):
        a, b = p[n].numpy(), q[n].numpy()
        expected = gammaln(a.sum()) - gammaln(b.sum())
        for c in range(4):
            expected += gammaln(b[c]) - gammaln(a[c])
            expected += (a[c] - b[c]) * (digamma(a[c]) - digamma(a.sum()))
        assert actual == pytest.approx(expected, rel=1e-10)


def test_divergence_is_exact_enough_at_the_largest_concentrations() -> None:
    """Of equal means it is (C − 1)/2 (r − 1 − ln r), r the ratio of the precisions."""
    alpha = torch.tensor([[0.2, 0.3, 0.5]], dtype=torch.float64) * 1e9
    expected = 1.5 - 1 - math.log(1.5)
    assert divergence(alpha, 1.5 * alpha).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("corrected", [False, True])
def test_the_proxy_has_the_members_mean_and_spread(
    temperature: float, corrected: bool, draw: Draw
) -> None:
    outputs = draw(5, 6, 4, scale=3)
    mean, precision = proxy(outputs, temperature, corrected)
    for n in range(6):
        members = torch.softmax(outputs[:, n] / temperature, -1).numpy()
        average = members.mean(0)
        spread = np.mean([(average * np.log(average / member)).sum() for member in members])
        spread *= 5 / 4 if corrected else 1
        np.testing.assert_allclose(mean[n].numpy(), average, rtol=1e-12)
        assert precision[n].item() == pytest.approx(3 / (2 * spread), rel=1e-9)


def test_the_precision_of_many_draws_is_that_of_their_dirichlet() -> None:
    """(C − 1)/(2 MKL) is α₀ for large α₀; 50,000 draws leave an error of about 1 %."""
    alpha = np.array([300.0, 500.0, 200.0])
    draws = np.random.default_rng(5).dirichlet(alpha, 50_000)
    mean, precision = proxy(torch.from_numpy(np.log(draws))[:, None])
    assert precision.item() == pytest.approx(1000, rel=0.02)
    np.testing.assert_allclose(mean[0].numpy(), alpha / 1000, rtol=1e-3)


def test_members_that_agree_have_an_infinite_precision(draw: Draw) -> None:
    one = draw(1, 6, 4, scale=3)
    for members in (1, 2, 4):
        for corrected in (False, True):
            mean, precision = proxy(one.repeat(members, 1, 1), corrected=corrected)
            torch.testing.assert_close(mean, one[0].softmax(-1))
            assert (precision > 1e12).all()
