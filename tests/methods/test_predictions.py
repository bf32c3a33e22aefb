from __future__ import annotations

import math
from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.special import digamma, log_softmax, logsumexp, softmax, xlogy
from scipy.stats import norm
from torch import Tensor

from distillation_bench.methods.predictions import (
    Dirichlet,
    GaussianMixture,
    Prediction,
    Samples,
    StatedCategorical,
    StatedGaussian,
)

Array = NDArray[np.float64]
Draw = Callable[..., Tensor]

CONCENTRATIONS = [
    pytest.param([1.0, 1.0, 1.0], id="flat"),
    pytest.param([0.3, 0.7], id="spread"),
    pytest.param([9.0, 3.0, 0.5, 1.5], id="leaning"),
    pytest.param([400.0, 300.0, 300.0], id="sure"),
]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240229)


def entropies(p: Array) -> Array:
    return np.asarray(-xlogy(p, p).sum(-1))


def divergences(p: Array, q: Array) -> Array:
    return np.asarray((xlogy(p, p) - xlogy(p, q)).sum(-1))


def assert_mean(draws: Array, expected: float) -> None:
    """Check that the mean of draws is within five standard errors of the expected one."""
    error = draws.std(ddof=1) / math.sqrt(len(draws))
    assert abs(draws.mean() - expected) <= 5 * error + 1e-12


def dirichlet(alpha: list[float]) -> Dirichlet:
    return Dirichlet(torch.tensor([alpha], dtype=torch.float64).log())


def assert_close(actual: Tensor, expected: Any, tolerance: float = 1e-12) -> None:
    assert actual.dtype == torch.float64
    np.testing.assert_allclose(actual.numpy(), expected, rtol=tolerance, atol=tolerance)


# --- Samples -------------------------------------------------------------------------------------


def test_samples_predict_the_mean_probabilities_and_entropies(draw: Draw) -> None:
    logits = draw(5, 6, 4, scale=2)
    predicted = Samples(logits)
    for n in range(6):
        members = [softmax(logits[s, n].numpy()) for s in range(5)]
        mean = sum(members) / 5
        total = -sum(p * math.log(p) for p in mean)
        aleatoric = sum(-sum(p * math.log(p) for p in member) for member in members) / 5
        gaps = [sum(p * math.log(p / q) for p, q in zip(m, mean, strict=True)) for m in members]
        assert_close(predicted.mean[n], mean)
        assert_close(predicted.total[n], total)
        assert_close(predicted.aleatoric[n], aleatoric)
        assert_close(predicted.epistemic[n], sum(gaps) / 5)
        y = torch.full((6,), n % 4)
        assert_close(predicted.log_prob(y)[n], math.log(mean[n % 4]))


def test_samples_uncertainties_are_expectations_over_members_and_classes(
    draw: Draw, rng: np.random.Generator
) -> None:
    logits = draw(4, 1, 3, scale=2)
    predicted = Samples(logits)
    log_p = log_softmax(logits[:, 0].numpy(), axis=-1)
    log_mean = logsumexp(log_p, axis=0) - math.log(4)
    s = rng.integers(0, 4, 200_000)
    y = (np.exp(log_p)[s].cumsum(-1) < rng.random((len(s), 1))).sum(-1)
    assert_mean(-log_mean[y], predicted.total.item())
    assert_mean(-log_p[s, y], predicted.aleatoric.item())
    assert_mean(log_p[s, y] - log_mean[y], predicted.epistemic.item())
    for c in range(3):
        assert_mean((y == c).astype(float), predicted.mean[0, c].item())


def test_pairwise_divergence_of_samples_is_the_sum_of_both_kl_to_the_mean(draw: Draw) -> None:
    """Over ordered pairs i ≠ j, (S − 1)/S times the mean KL is EU plus mean KL(p̄ ‖ p_s)."""
    logits = draw(5, 6, 4, scale=2)
    p = softmax(logits.numpy(), axis=-1)
    pairs = [divergences(p[i], p[j]) for i, j in permutations(range(5), 2)]
    back = divergences(p.mean(0), p).mean(0)
    assert_close(Samples(logits).epistemic, 4 / 5 * np.mean(pairs, axis=0) - back)


@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0, 1e4])
def test_a_point_prediction_has_no_epistemic_uncertainty(draw: Draw, scale: float) -> None:
    logits = draw(1, 50, 4, scale=scale)
    point = Samples(logits)
    assert torch.equal(point.epistemic, torch.zeros(50, dtype=torch.float64))
    assert torch.equal(point.total, point.aleatoric)
    assert_close(point.mean, softmax(logits[0].numpy(), axis=-1))


def test_equal_members_have_no_epistemic_uncertainty(draw: Draw) -> None:
    logits = draw(1, 50, 4, scale=3)
    repeated = Samples(logits.repeat(7, 1, 1))
    assert_close(repeated.epistemic, np.zeros(50), 1e-14)
    assert_close(repeated.total, Samples(logits).total, 1e-14)


def test_samples_certain_of_different_classes_have_only_epistemic_uncertainty() -> None:
    predicted = Samples(1e4 * torch.eye(4)[:, None])
    assert_close(predicted.total, [math.log(4)])
    assert_close(predicted.aleatoric, [0.0])
    assert_close(predicted.epistemic, [math.log(4)])


# --- Dirichlet -----------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", CONCENTRATIONS)
def test_dirichlet_values_equal_means_over_draws(
    alpha: list[float], rng: np.random.Generator
) -> None:
    predicted = dirichlet(alpha)
    draws = rng.dirichlet(alpha, 200_000)
    mean = np.array(alpha) / sum(alpha)
    assert_close(predicted.mean[0], mean)
    assert_close(predicted.total[0], entropies(mean))
    assert_mean(entropies(draws), predicted.aleatoric.item())
    assert_mean(divergences(draws, mean), predicted.epistemic.item())
    for c in range(len(alpha)):
        assert_mean(draws[:, c], predicted.mean[0, c].item())
        assert_close(predicted.log_prob(torch.tensor([c]))[0], math.log(mean[c]))


@pytest.mark.parametrize("alpha", [[1.5, 2.5, 2.0], [9.0, 3.0, 2.5, 4.0], [400.0, 300.0]])
def test_pairwise_divergence_of_a_dirichlet(alpha: list[float], rng: np.random.Generator) -> None:
    """EPKL = (C − 1)/α0 = MI + E KL(p̄ ‖ p); α0 is in the precision score."""
    predicted = dirichlet(alpha)
    expected = (len(alpha) - 1) * predicted.scores["precision"].exp().item()
    p, q = rng.dirichlet(alpha, 200_000), rng.dirichlet(alpha, 200_000)
    assert_mean(divergences(p, q), expected)
    back = divergences(np.array(alpha) / sum(alpha), p)
    assert_mean(back, expected - predicted.epistemic.item())


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_the_flat_dirichlet_has_harmonic_entropy(classes: int) -> None:
    """All α = 1: E H(p) = 1/2 + 1/3 + … + 1/C."""
    predicted = Dirichlet(torch.zeros(1, classes))
    aleatoric = sum(1 / k for k in range(2, classes + 1))
    assert_close(predicted.aleatoric, [aleatoric])
    assert_close(predicted.epistemic, [math.log(classes) - aleatoric])
    assert_close(predicted.scores["precision"], [-math.log(classes)])


def test_a_dirichlet_of_high_precision_approaches_its_mean(draw: Draw) -> None:
    """α0 → ∞: EU vanishes as (C − 1)/(2 α0)."""
    mean = draw(20, 4).log_softmax(-1)
    for log_precision in (math.log(1e4), math.log(1e6)):
        predicted = Dirichlet(mean + log_precision)
        scaled = predicted.epistemic * math.exp(log_precision) * 2 / 3
        assert_close(scaled, np.ones(20), 5e-3)
        assert_close(predicted.aleatoric, predicted.total, 1e-3)
        assert_close(predicted.total, entropies(mean.exp().numpy()))


@pytest.mark.parametrize("log_precision", [3.0, 9.0, 9.5, 12.0, 20.0, 31.0, 60.0, 300.0])
def test_epistemic_uncertainty_of_a_dirichlet_is_accurate_at_any_precision(
    draw: Draw, log_precision: float
) -> None:
    """Σ π [g(α) − g(α₀)], g(x) = ψ(x + 1) − ln x; at large x its asymptotic series, four terms."""
    log_mean = draw(20, 4).log_softmax(-1)

    def excess(log_x: float) -> float:
        x = math.exp(min(log_x, 30.0))
        if log_x < 5:
            return float(digamma(x + 1)) - log_x
        inverse = math.exp(-log_x)
        return inverse / 2 - inverse**2 / 12 + inverse**4 / 120 - inverse**6 / 252

    predicted = Dirichlet(log_mean + log_precision)
    for n, row in enumerate(log_mean.tolist()):
        expected = math.fsum(
            math.exp(value) * (excess(value + log_precision) - excess(log_precision))
            for value in row
        )
        assert expected > 0
        assert predicted.epistemic[n].item() == pytest.approx(expected, rel=1e-9)


def test_a_dirichlet_of_low_precision_has_only_epistemic_uncertainty(draw: Draw) -> None:
    """α0 → 0: all the entropy of the mean is epistemic."""
    predicted = Dirichlet(draw(20, 4) - 25)
    assert_close(predicted.aleatoric, np.zeros(20), 1e-9)
    assert_close(predicted.epistemic, predicted.total, 1e-9)
    assert (predicted.total > 0.1).all()


@pytest.mark.parametrize(
    "logits",
    [
        [31.0, 40.0, 0.0],
        [1e4, 9e3, -1e4],
        [0.0, -31.0, -40.0],
        [-1e4, -9e3, -9e3],
        [60.0, 0.0, 0.0],
    ],
)
def test_the_dirichlet_mean_is_the_softmax_of_extreme_logits(logits: list[float]) -> None:
    predicted = Dirichlet(torch.tensor([logits]))
    assert_close(predicted.mean, softmax([logits], axis=-1))
    for c in range(3):
        expected = log_softmax(logits)[c]
        assert_close(predicted.log_prob(torch.tensor([c])), [expected])


# --- all over classes ----------------------------------------------------------------------------


def extreme(kind: str) -> Prediction:
    """Return logits of ±1e4 and 0 in float32, in all combinations of three classes."""
    ends = torch.tensor([-1e4, 0.0, 1e4])
    logits = torch.cartesian_prod(ends, ends, ends)
    if kind == "dirichlet":
        return Dirichlet(logits)
    heads = 3 if kind == "samples" else 1
    return Samples(torch.stack([logits.roll(shift, 1) for shift in range(heads)]))


@pytest.mark.parametrize("kind", ["point", "samples", "dirichlet"])
def test_extreme_logits_give_finite_values(kind: str) -> None:
    predicted = extreme(kind)
    for value in (predicted.total, predicted.aleatoric, predicted.epistemic):
        assert value.isfinite().all()
        assert (value >= -1e-12).all()
        assert (value <= math.log(3) + 1e-12).all()
    assert_close(predicted.total, predicted.aleatoric + predicted.epistemic)
    assert_close(predicted.mean.sum(-1), np.ones(27))
    for c in range(3):
        log_prob = predicted.log_prob(torch.full((27,), c))
        assert not log_prob.isnan().any()
        assert (log_prob <= 1e-12).all()
    assert not any(score.isnan().any() for score in predicted.scores.values())


def test_total_is_aleatoric_plus_epistemic(draw: Draw) -> None:
    logits = draw(5, 500, 4, scale=4)
    for predicted in (Samples(logits), Dirichlet(logits[0]), GaussianMixture(logits[0], logits[1])):
        assert_close(predicted.total, predicted.aleatoric + predicted.epistemic)
        assert (predicted.epistemic >= 0).all()


def test_float32_outputs_are_evaluated_in_float64(draw: Draw) -> None:
    single = draw(5, 20, 4).float()
    pairs: list[tuple[Prediction, Prediction]] = [
        (Samples(single), Samples(single.double())),
        (Dirichlet(single[0]), Dirichlet(single[0].double())),
        (
            GaussianMixture(single[..., 0], single[..., 1]),
            GaussianMixture(*single.double()[..., :2].unbind(-1)),
        ),
    ]
    for predicted, exact in pairs:
        for name in ("mean", "total", "aleatoric", "epistemic"):
            assert torch.equal(getattr(predicted, name), getattr(exact, name))
        assert predicted.total.dtype == torch.float64


# --- Gaussian mixture ----------------------------------------------------------------------------


def test_mixture_has_the_moments_of_its_draws(draw: Draw, rng: np.random.Generator) -> None:
    means, log_variances = draw(4, 3, scale=2), draw(4, 3)
    predicted = GaussianMixture(means, log_variances)
    component = rng.integers(0, 4, 200_000)
    for n in range(3):
        mean, variance = means[:, n].numpy(), np.exp(log_variances[:, n].numpy())
        draws = rng.normal(mean[component], np.sqrt(variance)[component])
        centre = predicted.mean[n].item()
        assert_mean(draws, centre)
        assert_mean((draws - centre) ** 2, predicted.total[n].item())
        assert_mean(variance[component], predicted.aleatoric[n].item())
        assert_mean((mean[component] - centre) ** 2, predicted.epistemic[n].item())


def test_mixture_density_is_the_mean_density(draw: Draw) -> None:
    means, log_variances, y = draw(4, 9, scale=2), draw(4, 9), draw(9, scale=3)
    parts = norm.logpdf(y.numpy(), means.numpy(), np.exp(log_variances.numpy() / 2))
    expected = logsumexp(parts, axis=0) - math.log(4)
    assert_close(GaussianMixture(means, log_variances).log_prob(y), expected)


def test_mixture_density_integrates_to_one(draw: Draw) -> None:
    predicted = GaussianMixture(draw(3, 1), draw(3, 1))

    def density(y: float) -> float:
        return predicted.log_prob(torch.tensor([y])).exp().item()

    assert quad(density, -30, 30, limit=200)[0] == pytest.approx(1, abs=1e-6)


def test_one_gaussian_has_no_epistemic_uncertainty(draw: Draw) -> None:
    predicted = GaussianMixture(draw(1, 9, scale=1e4), draw(1, 9))
    assert torch.equal(predicted.epistemic, torch.zeros(9, dtype=torch.float64))
    assert torch.equal(predicted.total, predicted.aleatoric)


@pytest.mark.parametrize("log_variance", [-15.0, 15.0])
def test_extreme_means_give_finite_values(log_variance: float) -> None:
    means = torch.tensor([[-1e4, 1e4], [1e4, 1e4]])
    predicted = GaussianMixture(means, torch.full((2, 2), log_variance))
    assert_close(predicted.epistemic, [1e8, 0])
    assert predicted.log_prob(torch.tensor([0.0, -1e4])).isfinite().all()


# --- A stated epistemic uncertainty --------------------------------------------------------------


def test_a_stated_uncertainty_is_clipped_to_the_total(draw: Draw) -> None:
    logits = draw(4, 3)
    stated = torch.tensor([-1.0, 0.25, 5.0, math.inf])
    classes = StatedCategorical(logits, stated)
    gaussian = StatedGaussian(draw(1, 4), torch.zeros(1, 4), stated)
    for predicted, total in (
        (classes, entropies(softmax(logits, axis=-1))),
        (gaussian, np.ones(4)),
    ):
        assert_close(predicted.total, total)
        assert_close(predicted.epistemic, [0, 0.25, total[2], total[3]])
        assert_close(predicted.aleatoric, [total[0], total[1] - 0.25, 0, 0])


def test_a_stated_uncertainty_changes_no_probability(draw: Draw) -> None:
    logits, stated = draw(6, 4, scale=2), draw(6).abs()
    point = Samples(logits[None])
    classes = StatedCategorical(logits, stated)
    means, log_variances = draw(1, 6), draw(1, 6)
    plain, gaussian = (
        GaussianMixture(means, log_variances),
        StatedGaussian(means, log_variances, stated),
    )
    assert_close(classes.mean, point.mean)
    assert_close(gaussian.log_prob(stated), plain.log_prob(stated))
    assert_close(gaussian.mean, plain.mean)
