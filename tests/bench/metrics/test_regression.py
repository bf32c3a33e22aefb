from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import norm
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from distillation_bench.bench.metrics.regression import (
    coverage,
    crps_mixture,
    mae,
    rmse,
    share_at_bounds,
)

Array = NDArray[np.float64]
Mixture = tuple[Array, Array, Array]


def mixture(rng: np.random.Generator, heads: int, examples: int) -> Mixture:
    means = rng.normal(0, 2, (heads, examples))
    return means, rng.uniform(0.1, 4, (heads, examples)), rng.normal(0, 3, examples)


@st.composite
def mixtures(draw: st.DrawFn) -> Mixture:
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    return mixture(rng, draw(st.integers(1, 6)), draw(st.integers(1, 30)))


def coverage90(means: Array, variances: Array, targets: Array) -> float:
    return coverage(means, variances, targets, 0.9)


def cdf(y: float, means: Array, variances: Array) -> float:
    return float(norm.cdf(y, means, np.sqrt(variances)).mean())


@pytest.mark.parametrize("size", [1, 1000])
def test_rmse_and_mae_equal_scikit_learns(rng: np.random.Generator, size: int) -> None:
    mean, targets = rng.normal(size=(2, size))
    assert rmse(mean, targets) == pytest.approx(root_mean_squared_error(targets, mean), abs=1e-13)
    assert mae(mean, targets) == pytest.approx(mean_absolute_error(targets, mean), abs=1e-13)


def test_rmse_and_mae_equal_the_calculation_by_hand() -> None:
    assert rmse([0, 0, 0, 0], [3, 3, -3, 3]) == 3
    assert mae([0, 0], [1, -2]) == 1.5


def test_crps_of_one_gaussian_in_closed_form(rng: np.random.Generator) -> None:
    means, variances, targets = mixture(rng, 1, 200)
    deviation = np.sqrt(variances[0])
    z = (targets - means[0]) / deviation
    # Gneiting & Raftery 2007, equation 21.
    terms = z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi)
    expected = (deviation * terms).mean()
    assert crps_mixture(means, variances, targets) == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize("heads", [1, 2, 5])
def test_crps_is_the_integral_over_the_squared_error_of_the_cdf(
    rng: np.random.Generator, heads: int
) -> None:
    means, variances, targets = mixture(rng, heads, 1)
    y = float(targets[0])

    def parts(x: float) -> float:
        return cdf(x, means[:, 0], variances[:, 0]) ** 2

    def upper_tail(x: float) -> float:
        return (1 - cdf(x, means[:, 0], variances[:, 0])) ** 2

    options = {"epsabs": 1e-11, "epsrel": 1e-11, "limit": 400}
    expected = quad(parts, -40, y, **options)[0] + quad(upper_tail, y, 40, **options)[0]
    assert crps_mixture(means, variances, targets) == pytest.approx(expected, abs=1e-9)


def test_crps_is_the_mean_over_all_pairs(rng: np.random.Generator) -> None:
    means, variances, targets = mixture(rng, 4, 20)

    def moment(mean: float, variance: float) -> float:
        s = np.sqrt(variance)
        return float(2 * s * norm.pdf(mean / s) + mean * (2 * norm.cdf(mean / s) - 1))

    total = 0.0
    for n in range(20):
        for i in range(4):
            total += moment(targets[n] - means[i, n], variances[i, n]) / 4
            for j in range(4):
                difference, spread = means[i, n] - means[j, n], variances[i, n] + variances[j, n]
                total -= moment(difference, spread) / 32
    assert crps_mixture(means, variances, targets) == pytest.approx(total / 20, abs=1e-12)


def test_crps_equals_a_monte_carlo_estimate(rng: np.random.Generator) -> None:
    means, variances, targets = mixture(rng, 3, 1)
    heads = rng.integers(0, 3, (2, 200_000))
    x, second_draw = means[heads, 0] + np.sqrt(variances[heads, 0]) * rng.normal(size=heads.shape)
    draws = np.abs(x - targets[0]) - np.abs(x - second_draw) / 2
    error = draws.std(ddof=1) / np.sqrt(draws.size)
    assert abs(crps_mixture(means, variances, targets) - draws.mean()) < 4 * error


def test_crps_of_point_masses() -> None:
    zero = np.zeros((2, 3))
    means = np.array([[0.0, 1, 2], [0, 1, 2]])
    assert crps_mixture(means, zero, [0.0, 3.0, -1.0]) == pytest.approx(5 / 3, abs=1e-15)
    # Masses at 0 and 1: E|X − y| − 1/4.
    assert crps_mixture([[0.0], [1.0]], [[0.0], [0.0]], [0.0]) == pytest.approx(0.25, abs=1e-15)


def test_crps_of_vanishing_variances_is_continuous() -> None:
    means, targets = np.array([[0.0], [1.0]]), [0.3]
    exact = crps_mixture(means, np.zeros((2, 1)), targets)
    assert crps_mixture(means, np.full((2, 1), 1e-20), targets) == pytest.approx(exact, abs=1e-9)


def test_crps_of_point_masses_equals_torchmetrics(
    torchmetrics: Any, rng: np.random.Generator
) -> None:
    import torch

    members, targets = rng.normal(size=(7, 50)), rng.normal(size=50)
    expected = torchmetrics.regression.continuous_ranked_probability_score(
        torch.from_numpy(members.T.copy()), torch.from_numpy(targets)
    )
    value = crps_mixture(members, np.zeros((7, 50)), targets)
    assert value == pytest.approx(float(expected), abs=1e-12)


@given(mixtures(), st.floats(-50, 50), st.floats(0.1, 10))
def test_crps_scales_with_the_unit_of_targets(case: Mixture, shift: float, scale: float) -> None:
    means, variances, targets = case
    value = crps_mixture(scale * means + shift, scale**2 * variances, scale * targets + shift)
    assert value == pytest.approx(scale * crps_mixture(means, variances, targets), abs=1e-11)


@given(mixtures())
def test_crps_of_repeated_heads_is_unchanged(case: Mixture) -> None:
    means, variances, targets = case
    repeated = crps_mixture(np.tile(means, (3, 1)), np.tile(variances, (3, 1)), targets)
    assert repeated == pytest.approx(crps_mixture(*case), abs=1e-12)
    assert 0 <= repeated <= np.abs(means - targets).max() + 2 * np.sqrt(variances.max())


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_coverage_of_targets_from_the_mixture(rng: np.random.Generator, level: float) -> None:
    size = 20_000
    means, variances, _ = mixture(rng, 4, size)
    head = rng.integers(0, 4, size), np.arange(size)
    targets = means[head] + np.sqrt(variances[head]) * rng.normal(size=size)
    error = np.sqrt(level * (1 - level) / size)
    assert abs(coverage(means, variances, targets, level) - level) < 4 * error


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_coverage_between_quantiles(rng: np.random.Generator, level: float) -> None:
    means, variances, targets = mixture(rng, 3, 100)

    def quantile(n: int, q: float) -> float:
        return float(brentq(lambda y: cdf(y, means[:, n], variances[:, n]) - q, -50, 50))

    low, high = (1 - level) / 2, (1 + level) / 2
    inside = [quantile(n, low) <= targets[n] <= quantile(n, high) for n in range(100)]
    assert coverage(means, variances, targets, level) == sum(inside) / 100


def test_coverage_equals_the_calculation_by_hand() -> None:
    means, variances = np.zeros((1, 4)), np.ones((1, 4))
    # The central half ends at 0.6745.
    assert coverage(means, variances, [0.0, 0.67, -0.67, 0.68], 0.5) == 0.75
    assert coverage(means, variances, [0.68, -0.68, 9.0, -9.0], 0.5) == 0


def test_coverage_of_point_masses() -> None:
    means = np.array([[1.0, 2.0, 3.0, 4.0]])
    assert coverage(means, np.zeros((1, 4)), [1.0, 2.1, 2.9, 4.0], 0.9) == 0.5


@given(mixtures(), st.floats(0.05, 0.9))
def test_coverage_grows_with_the_level(case: Mixture, level: float) -> None:
    means, variances, targets = case
    narrow, wide = (coverage(means, variances, targets, x) for x in (level, level + 0.05))
    assert narrow <= wide


@given(mixtures(), st.integers(0, 99))
def test_order_does_not_matter(case: Mixture, seed: int) -> None:
    means, variances, targets = case
    rng = np.random.default_rng(seed)
    heads, rows = rng.permutation(len(means)), rng.permutation(len(targets))
    shuffled = means[heads][:, rows], variances[heads][:, rows], targets[rows]
    assert crps_mixture(*shuffled) == pytest.approx(crps_mixture(*case), abs=1e-12)
    assert coverage90(*shuffled) == pytest.approx(coverage90(*case), abs=1e-12)
    assert rmse(means[0][rows], targets[rows]) == pytest.approx(rmse(means[0], targets), abs=1e-12)
    assert mae(means[0][rows], targets[rows]) == pytest.approx(mae(means[0], targets), abs=1e-12)


def test_nan_gives_nan() -> None:
    ones, with_nan = np.ones((2, 2)), np.array([[1.0, np.nan], [1.0, 1.0]])
    for arguments in (
        (with_nan, ones, ones[0]),
        (ones, with_nan, ones[0]),
        (ones, ones, with_nan[0]),
    ):
        assert np.isnan(crps_mixture(*arguments))
        assert np.isnan(coverage90(*arguments))
    # Not even where the other array has no variance.
    assert np.isnan(coverage(with_nan, 0 * ones, ones[0], 0.9))
    assert np.isnan(rmse(with_nan[0], ones[0]))
    assert np.isnan(mae(ones[0], with_nan[0]))


@pytest.mark.parametrize("metric", [rmse, mae])
@pytest.mark.parametrize(("mean", "targets"), [([], []), ([1.0], [1.0, 2.0]), ([[1.0]], [[1.0]])])
def test_bad_point_predictions_are_refused(
    metric: Callable[..., float], mean: Any, targets: Any
) -> None:
    with pytest.raises(ValueError, match=r"dimension|shape"):
        metric(mean, targets)


@pytest.mark.parametrize("metric", [crps_mixture, coverage90])
@pytest.mark.parametrize(
    ("means", "variances", "targets", "message"),
    [
        (np.empty((0, 2)), np.empty((0, 2)), np.ones(2), "means must be a non-empty"),
        (np.ones(2), np.ones(2), np.ones(2), "2 dimension"),
        (np.ones((3, 2)), np.ones((1, 2)), np.ones(2), "variances must have shape"),
        (np.ones((3, 2)), np.ones((3, 2)), np.ones(3), "targets must have shape"),
        (np.ones((1, 1)), -np.ones((1, 1)), np.ones(1), "must not be negative"),
    ],
)
def test_bad_mixtures_are_refused(
    metric: Callable[..., float], means: Array, variances: Array, targets: Array, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        metric(means, variances, targets)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, np.nan])
def test_a_level_outside_0_and_1_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match="level"):
        coverage([[0.0]], [[1.0]], [0.0], level)


def test_share_at_bounds_equals_the_calculation_by_hand() -> None:
    import torch

    # As in predictions: exponentials of clamped log variances, in float64.
    logs = torch.tensor([[15.0, -15.0, 14.99], [40.0, 0.0, -14.99]]).clamp(-15, 15)
    assert share_at_bounds(logs.double().exp().numpy(), 15.0) == 0.5
    assert share_at_bounds([[0.0, 1.0]], 15.0) == 0.5
    assert share_at_bounds([[1e300]], np.inf) == 0
    assert np.isnan(share_at_bounds([[np.nan, 1.0]], 15.0))
    with pytest.raises(ValueError, match="negative"):
        share_at_bounds([[-1.0]], 15.0)
