"""Distances between samples against loops over pairs, closed forms, and their bias."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product

import pytest
import torch
from torch import Tensor

from distillation_bench.methods.sample_distances import energy_distance, mmd, mmd_to_normal

Draw = Callable[..., Tensor]
Row = Sequence[float]
Kernel = Callable[[Row, Row], float]

BANDWIDTHS = (0.5, 2.0, 7.0)
UNBIASED = pytest.mark.parametrize("unbiased", [False, True])


def distance(a: Row, b: Row) -> float:
    return math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)))


def gaussian_kernels(a: Row, b: Row) -> float:
    return sum(math.exp(-(distance(a, b) ** 2) / (2 * width)) for width in BANDWIDTHS)


def plain(kernel: Kernel, x: Tensor, y: Tensor, unbiased: bool) -> float:
    """E k(x, x') + E k(y, y') − 2 E k(x, y), one pair at a time."""
    rows, others = x.tolist(), y.tolist()

    def within(rows: list[Row]) -> float:
        values = [
            kernel(rows[i], rows[j])
            for i, j in product(range(len(rows)), repeat=2)
            if i != j or not unbiased
        ]
        return sum(values) / len(values)

    between = [kernel(a, b) for a, b in product(rows, others)]
    return within(rows) + within(others) - 2 * sum(between) / len(between)


@UNBIASED
def test_distances_are_those_of_loops_over_pairs(draw: Draw, unbiased: bool) -> None:
    """Rows of any dimension, with two leading axes."""
    for dimension in (1, 3, 40):
        x, y = draw(2, 3, 4, dimension), 1 + draw(2, 3, 6, dimension, scale=2.0)
        energies = energy_distance(x, y, unbiased)
        discrepancies = mmd(x, y, BANDWIDTHS, unbiased)
        assert energies.shape == discrepancies.shape == (2, 3)
        for i, j in product(range(2), range(3)):
            pair = x[i, j], y[i, j]
            energy = plain(lambda a, b: -distance(a, b), *pair, unbiased)
            assert energies[i, j].item() == pytest.approx(energy, rel=1e-9)
            discrepancy = plain(gaussian_kernels, *pair, unbiased)
            assert discrepancies[i, j].item() == pytest.approx(discrepancy, rel=1e-9)


def test_equal_samples_have_no_distance_and_no_gradient(draw: Draw) -> None:
    """Where rows coincide, the gradient of their distance is 0, not NaN."""
    x = draw(5, 3).requires_grad_()
    for equal in (x, x[:1].expand(5, 3)):
        for distances in (energy_distance(equal, equal.detach()), mmd(equal, equal.detach(), [1])):
            assert distances.item() == pytest.approx(0, abs=1e-12)
            (gradient,) = torch.autograd.grad(distances, x, retain_graph=True)
            torch.testing.assert_close(gradient, torch.zeros_like(x), rtol=0, atol=1e-12)


@UNBIASED
def test_gradients_are_those_of_differences(draw: Draw, unbiased: bool) -> None:
    x, y = draw(4, 3).requires_grad_(), draw(5, 3)
    assert torch.autograd.gradcheck(lambda x: energy_distance(x, y, unbiased), x)
    assert torch.autograd.gradcheck(lambda x: mmd(x, y, BANDWIDTHS, unbiased), x)


def test_the_unbiased_estimates_are_those_of_the_distributions(draw: Draw) -> None:
    """Closed forms for N(0, 1) and N(1, 4), from 20,000 pairs of 3 and 4 draws."""
    x, y = draw(20_000, 3, 1), 1 + draw(20_000, 4, 1, scale=2.0)

    def mean_distance(mean: float, variance: float) -> float:
        """E|d| of d ~ N(mean, variance)."""
        spread = math.sqrt(2 * variance / math.pi) * math.exp(-(mean**2) / (2 * variance))
        return spread + mean * math.erf(mean / math.sqrt(2 * variance))

    def mean_kernel(mean: float, variance: float) -> float:
        """E exp(−d²/(2a)) of d ~ N(mean, variance), summed over a."""
        parts = [
            math.sqrt(a / (a + variance)) * math.exp(-(mean**2) / (2 * (a + variance)))
            for a in BANDWIDTHS
        ]
        return sum(parts)

    energy = 2 * mean_distance(1, 5) - mean_distance(0, 2) - mean_distance(0, 8)
    discrepancy = mean_kernel(0, 2) + mean_kernel(0, 8) - 2 * mean_kernel(1, 5)
    for expected, values, biased in (
        (energy, energy_distance(x, y, unbiased=True), energy_distance(x, y)),
        (discrepancy, mmd(x, y, BANDWIDTHS, unbiased=True), mmd(x, y, BANDWIDTHS)),
    ):
        error = values.std().item() / math.sqrt(len(values))
        assert abs(values.mean().item() - expected) < 4 * error
        assert biased.mean().item() > expected + 20 * error


@pytest.mark.parametrize("bandwidth", [0.5, 3.0])
def test_the_distance_to_normal_draws_is_a_closed_form(draw: Draw, bandwidth: float) -> None:
    """The mean of the unbiased MMD to 10 draws of N(0, I), over 10,000 sets of draws."""
    x = 0.5 + draw(2, 4, 3, scale=0.7)
    sampled = mmd(x, draw(10_000, 1, 10, 3), [bandwidth], unbiased=True)
    error = sampled.std(0) / math.sqrt(len(sampled))
    closed = mmd_to_normal(x, bandwidth)
    assert closed.shape == (2,)
    assert ((sampled.mean(0) - closed).abs() < 4 * error).all()
    assert (error < 0.05 * closed.abs()).all()


def test_only_the_unbiased_distance_is_least_at_the_right_width(draw: Draw) -> None:
    """The scale s of draws N(0, s²), whose distance to draws N(0, 1) is least."""
    x, y = draw(40_000, 3, 1), draw(40_000, 5, 1)

    def best(unbiased: bool) -> float:
        scales = [0.5 + 0.05 * step for step in range(16)]
        means = [energy_distance(s * x, y, unbiased).mean().item() for s in scales]
        return scales[means.index(min(means))]

    assert best(unbiased=True) == pytest.approx(1, abs=0.1)
    assert best(unbiased=False) < 0.8


def test_a_single_row_has_no_pairs() -> None:
    x, y = torch.tensor([[0.0]]), torch.tensor([[3.0], [5.0]])
    assert energy_distance(x, y, unbiased=True).item() == pytest.approx(2 * 4 - 2)


def test_far_rows_are_finite() -> None:
    x = torch.tensor([[1e4, -1e4], [-1e4, 1e4]]).requires_grad_()
    for value in (energy_distance(x, -x.detach() + 1), mmd(x, x.detach() + 1e4, [1e-3])):
        (gradient,) = torch.autograd.grad(value, x)
        assert value.isfinite() and gradient.isfinite().all()
