from __future__ import annotations

import math
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
import torch
from scipy.stats import laplace, multivariate_normal
from torch import Tensor

from distillation_bench.methods.logit_distributions import (
    Gauge,
    Gaussians,
    Laplaces,
    gauged,
    outputs_of,
)
from distillation_bench.methods.low_discrepancy import normal_points, uniform_points

Draw = Callable[..., Tensor]
CPU = torch.device("cpu")


def gaussians(draw: Draw, rank: int, constant: bool = False, size: int = 4) -> Gaussians:
    """Six Gaussians with variances of every size."""
    variance, factors = draw(6, size).exp(), draw(6, size, rank)
    return Gaussians(draw(6, size), variance, factors, constant)


# --- gauges --------------------------------------------------------------------------------------


@pytest.mark.parametrize("gauge", get_args(Gauge))
def test_coordinates_give_the_same_probabilities(gauge: Gauge, draw: Draw) -> None:
    logits = draw(5, 6, 4, scale=3)
    coordinates = gauged(logits, gauge)
    back = outputs_of(coordinates, gauge)
    torch.testing.assert_close(back.softmax(-1), logits.softmax(-1))
    if gauge != "none":
        torch.testing.assert_close(gauged(logits + 7, gauge), coordinates)


def test_gauges_are_as_defined(draw: Draw) -> None:
    logits = draw(5, 6, 4)
    for m in range(5):
        for n in range(6):
            row = logits[m, n].tolist()
            mean, norm = sum(row) / 4, math.log(sum(map(math.exp, row)))
            for gauge, expected in (
                ("centred", [z - mean for z in row]),
                ("last", [z - row[3] for z in row[:3]]),
                ("log-softmax", [z - norm for z in row]),
                ("none", row),
            ):
                actual = gauged(logits, gauge)[m, n].tolist()  # type: ignore[arg-type]
                assert actual == pytest.approx(expected, rel=1e-12, abs=1e-12)


# --- Gaussians -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", [0, 1, 3])
def test_the_density_is_that_of_the_covariance(rank: int, draw: Draw) -> None:
    distribution, x = gaussians(draw, rank), draw(5, 6, 4)
    densities = []
    for n in range(6):
        factors = distribution.factors[n].numpy()
        covariance = np.diag(distribution.variance[n].numpy()) + factors @ factors.T
        oracle = multivariate_normal(distribution.location[n].numpy(), covariance)
        densities += [oracle.logpdf(x[m, n].numpy()) for m in range(5)]
    assert distribution.nll(x).item() == pytest.approx(-np.mean(densities), rel=1e-9)


@pytest.mark.parametrize("rank", [0, 2])
def test_up_to_a_constant_the_density_is_that_of_centred_coordinates(rank: int, draw: Draw) -> None:
    """In an orthonormal basis of the coordinates whose sum is 0, in D − 1 dimensions."""
    distribution, x = gaussians(draw, rank, constant=True), draw(5, 6, 4)
    basis = np.linalg.svd(np.ones((1, 4)))[2][1:]
    densities = []
    for n in range(6):
        factors = distribution.factors[n].numpy()
        covariance = np.diag(distribution.variance[n].numpy()) + factors @ factors.T
        mean = basis @ distribution.location[n].numpy()
        oracle = multivariate_normal(mean, basis @ covariance @ basis.T)
        densities += [oracle.logpdf(basis @ x[m, n].numpy()) for m in range(5)]
    nll = distribution.nll(x).item()
    assert nll == pytest.approx(-np.mean(densities), rel=1e-9)
    assert distribution.nll(x + draw(5, 6, 1)).item() == pytest.approx(nll, rel=1e-9)


def test_rank_zero_is_diagonal(draw: Draw) -> None:
    distribution, x = gaussians(draw, 0), draw(5, 6, 4)
    terms = 0.0
    for m in range(5):
        for n in range(6):
            for c in range(4):
                v = distribution.variance[n, c].item()
                error = (x[m, n, c] - distribution.location[n, c]).item() ** 2 / v
                terms += 0.5 * (math.log(2 * math.pi * v) + error)
    assert distribution.nll(x).item() == pytest.approx(terms / 30, rel=1e-9)
    flat = Gaussians(distribution.location, distribution.variance, torch.zeros(6, 4, 2).double())
    assert flat.nll(x).item() == pytest.approx(terms / 30, rel=1e-9)


@pytest.mark.parametrize("rank", [0, 2])
def test_draws_have_the_stated_moments(rank: int, draw: Draw) -> None:
    distribution = gaussians(draw, rank)
    assert distribution.dimensions == 4 + rank
    count = 200_000
    generator = torch.Generator().manual_seed(3)
    uniform = torch.rand(count, 4 + rank, dtype=torch.float64, generator=generator)
    draws = distribution.draw(uniform)
    covariance = torch.diag_embed(distribution.variance)
    covariance = covariance + distribution.factors @ distribution.factors.mT
    deviation = covariance.diagonal(0, -2, -1).sqrt()
    error = draws.mean(0) - distribution.location
    assert (error.abs() < 5 * deviation / math.sqrt(count)).all()
    centred = draws - draws.mean(0)
    actual = torch.einsum("sbc,sbd->bcd", centred, centred) / count
    bound = 5 * math.sqrt(2 / count) * deviation[:, :, None] * deviation[:, None]
    assert ((actual - covariance).abs() < bound).all()


def test_the_optimum_is_mean_and_variance_of_members(draw: Draw) -> None:
    """Where the members' variances are the Gaussian's, the gradient vanishes."""
    x = draw(5, 6, 4)
    location = x.mean(0).requires_grad_()
    variance = x.var(0, correction=0).requires_grad_()
    loss = Gaussians(location, variance, torch.zeros(6, 4, 0).double()).nll(x)
    for gradient in torch.autograd.grad(loss, (location, variance)):
        assert gradient.abs().max() < 1e-12


def test_independent_logits_are_recovered_up_to_their_constant(draw: Draw) -> None:
    """Many members with independent logits of variances v, each shifted by any constant."""
    count, variance = 100_000, torch.tensor([[0.3, 1.0, 4.0]]).double()
    members = draw(count, 1, 3) * variance.sqrt() + draw(count, 1, 1, scale=10)
    v = variance.clone().requires_grad_()
    location = torch.zeros(1, 3).double()
    nll = Gaussians(location, v, torch.zeros(1, 3, 0).double(), constant=True).nll(members)
    (gradient,) = torch.autograd.grad(nll, v)
    # At the truth the gradient is that of a finite sample: per member, its variance is at most
    # that of the squares, ½/v².
    assert ((gradient * v).abs() < 5 * math.sqrt(0.5 / count)).all()


# --- Laplaces ------------------------------------------------------------------------------------


def test_the_density_is_laplaces(draw: Draw) -> None:
    distribution, x = Laplaces(draw(6, 4), draw(6, 4).exp()), draw(5, 6, 4)
    location, scale = distribution.location.numpy(), distribution.scale.numpy()
    expected = -laplace.logpdf(x.numpy(), location, scale).sum(-1).mean()
    assert distribution.nll(x).item() == pytest.approx(expected, rel=1e-9)


def test_draws_are_the_quantiles_of_laplace(draw: Draw) -> None:
    distribution = Laplaces(draw(6, 4), draw(6, 4).exp())
    uniform = uniform_points(8, distribution.dimensions, CPU)
    expected = [
        laplace.ppf(point, distribution.location.numpy(), distribution.scale.numpy())
        for point in uniform.numpy()
    ]
    np.testing.assert_allclose(distribution.draw(uniform).numpy(), expected, rtol=1e-9)


# --- low-discrepancy points ----------------------------------------------------------------------


def test_points_are_the_same_always_and_inside_the_cube() -> None:
    points = uniform_points(64, 10, CPU)
    torch.manual_seed(5)
    assert torch.equal(points, uniform_points(64, 10, CPU))
    assert points.shape == (64, 10) and points.dtype == torch.float64
    assert points.min() > 0 and points.max() < 1
    assert normal_points(1 << 14, 3, CPU).isfinite().all()


@pytest.mark.parametrize("dimensions", [1, 3, 10, 110])
def test_each_interval_of_an_axis_has_its_point(dimensions: int) -> None:
    """64 points of a net of base 2: one in each interval of length 1/64."""
    bins = (uniform_points(64, dimensions, CPU) * 64).long().sort(0).values
    assert torch.equal(bins, torch.arange(64)[:, None].expand(-1, dimensions))


def test_a_mean_converges_faster_than_with_random_numbers(draw: Draw) -> None:
    """E softmax of Gaussian logits: the error of 64 points against that of random ones."""
    distribution = gaussians(draw, 0, size=3)

    def mean(uniform: Tensor) -> Tensor:
        return distribution.draw(uniform).softmax(-1).mean(0)

    exact = mean(uniform_points(1 << 16, 3, CPU))
    error = (mean(uniform_points(64, 3, CPU)) - exact).square().mean().sqrt().item()
    generator = torch.Generator().manual_seed(1)
    random = [torch.rand(64, 3, generator=generator, dtype=torch.float64) for _ in range(50)]
    errors = torch.stack([(mean(uniform) - exact).square().mean() for uniform in random])
    assert error < errors.mean().sqrt().item() / 3
