"""Temperature scaling: the fitted temperature against searches and closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from tests.bench.metrics.predictions import Array, Case, Targets, cases

from distillation_bench.bench.metrics.classification import nll
from distillation_bench.bench.metrics.temperature_scaling import (
    _best_inverse,
    _NllSlope,
    fit_temperature,
    temper,
)


def tempered_nll(log_p: Array, targets: Targets, temperature: float) -> float:
    return nll(temper(log_p, temperature)[np.arange(len(targets)), targets])


def sampled_targets(log_p: Array, seed: int = 0) -> Targets:
    """Draw a class from the distribution of each row."""
    noise = np.random.default_rng(seed).gumbel(size=log_p.shape)
    return np.asarray((log_p + noise).argmax(1))


@pytest.mark.parametrize("temperature", [0.05, 0.3, 1.0, 2.5, 20.0])
def test_temper_equals_division_of_the_logits(rng: np.random.Generator, temperature: float) -> None:
    log_p = log_softmax(rng.normal(0, 5, (50, 6)), axis=1)
    expected = log_softmax(log_p / temperature, axis=1)
    np.testing.assert_allclose(temper(log_p, temperature), expected, rtol=0, atol=1e-11)


def test_temper_keeps_zero_probabilities() -> None:
    value = temper([[np.log(0.8), np.log(0.2), -np.inf]], 0.5)
    np.testing.assert_allclose(np.exp(value), [[16 / 17, 1 / 17, 0]], rtol=0, atol=1e-15)
    np.testing.assert_array_equal(temper([[0.0, -np.inf]], 3.0), [[0.0, -np.inf]])


@pytest.mark.parametrize("true", [0.1, 0.5, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_the_fitted_temperature_equals_that_of_a_search(
    rng: np.random.Generator, true: float, scale: float
) -> None:
    log_p = log_softmax(rng.normal(0, scale, (400, 5)), axis=1)
    targets = sampled_targets(log_softmax(log_p / true, axis=1))
    value = fit_temperature(log_p, targets)
    searched = minimize_scalar(
        lambda inverse: tempered_nll(log_p, targets, 1 / inverse),
        bounds=(0.05, 20),
        method="bounded",
        options={"xatol": 1e-9},
    )
    # The NLL is flat at its minimum: half of the digits are all that values can tell.
    assert value == pytest.approx(np.clip(1 / searched.x, 0.05, 20), rel=1e-5)
    assert tempered_nll(log_p, targets, value) <= searched.fun + 1e-12


@pytest.mark.parametrize("right", [55, 60, 75, 90, 99])
def test_the_fitted_temperature_equals_its_closed_form(right: int) -> None:
    # One pair of probabilities for all: the best are the shares, so T is a ratio of log odds.
    log_p = np.log(np.tile([0.9, 0.1], (100, 1)))
    targets = np.repeat([0, 1], [right, 100 - right])
    expected = np.log(9) / np.log(right / (100 - right))
    assert fit_temperature(log_p, targets) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("seed", range(8))
def test_the_temperature_of_one_example_equals_that_of_a_search(seed: int) -> None:
    log_p = log_softmax(np.random.default_rng(seed).normal(0, 3, (1, 4)), axis=1)
    # Of the most probable class it is the lower bound, of the least the upper one, of others either
    # or between.
    for rank, target in enumerate(log_p[0].argsort()[::-1]):
        value = fit_temperature(log_p, [target])
        searched = minimize_scalar(
            lambda inverse, y: tempered_nll(log_p, y, 1 / inverse),
            bounds=(0.05, 20),
            args=(np.array([target]),),
            method="bounded",
            options={"xatol": 1e-9},
        )
        if 0.051 < value < 19.9:
            assert value == pytest.approx(1 / searched.x, rel=1e-5)
        assert tempered_nll(log_p, np.array([target]), value) <= searched.fun + 1e-12
        assert rank != 0 or value == 0.05
        assert rank != 3 or value == 20


def test_the_temperature_without_errors_is_the_lower_bound() -> None:
    """The NLL of a pair falls as ln(1 + exp(−gap / T)): all sharper is better."""
    log_p = log_softmax(np.array([[2.0, 0.0], [0.0, 0.5]]), axis=1)
    targets = np.array([0, 1])
    assert fit_temperature(log_p, targets) == 0.05
    expected = (np.log1p(np.exp(-2 / 0.05)) + np.log1p(np.exp(-0.5 / 0.05))) / 2
    assert tempered_nll(log_p, targets, 0.05) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("right", [5, 50, 90])
def test_temperature_of_a_constant_prediction(right: int) -> None:
    """Of two classes: as above; at even odds or worse the bound, however many examples."""
    log_p = np.log(np.tile([0.7, 0.3], (100, 1)))
    targets = np.repeat([0, 1], [right, 100 - right])
    odds = np.log(right / (100 - right))
    expected = np.log(7 / 3) / odds if odds > np.log(7 / 3) / 20 else 20
    assert fit_temperature(log_p, targets) == pytest.approx(expected, rel=1e-11)


def test_temperature_of_float32_is_that_of_the_same_numbers_in_float64(
    rng: np.random.Generator,
) -> None:
    log_p = log_softmax(rng.normal(0, 5, (300, 5)), axis=1).astype(np.float32)
    targets = sampled_targets(log_softmax(log_p / 2, axis=1))
    assert fit_temperature(log_p, targets) == fit_temperature(log_p.astype(np.float64), targets)


def test_the_temperature_ends_at_its_bounds() -> None:
    log_p = np.log(np.tile([0.6, 0.4], (10, 1)))
    assert fit_temperature(log_p, np.zeros(10, int)) == 0.05
    assert fit_temperature(log_p, np.ones(10, int)) == 20


def test_temperature_of_logits_on_very_different_scales() -> None:
    # Newton's steps alone would crawl or leave the bracket.
    log_p = log_softmax(np.repeat([[0.0, -0.01], [0.0, -80.0]], [5000, 100], axis=0), axis=1)
    targets = np.zeros(5100, int)
    targets[-1] = 1
    value = fit_temperature(log_p, targets)
    assert 1 < value < 20
    around = [tempered_nll(log_p, targets, value * factor) for factor in (0.999, 1, 1.001)]
    assert around[1] < min(around[0], around[2])


@pytest.mark.parametrize("root", [0.06, 0.9, 5.0, 19.9])
@pytest.mark.parametrize("power", [1 / 9, 1 / 3, 1, 3])
@pytest.mark.parametrize("steepness", [1e-3, 1, 1e3])
def test_the_search_converges_on_difficult_slopes(
    root: float, power: float, steepness: float
) -> None:
    calls = []

    def derivatives(inverse: float) -> tuple[float, float]:
        calls.append(inverse)
        distance = inverse - root
        size = abs(distance) + 1e-300
        return steepness * np.sign(distance) * size**power, steepness * power * size ** (power - 1)

    best = _best_inverse(derivatives)
    assert len(calls) <= 100
    assert min(calls) >= 0.05
    assert max(calls) <= 20
    slope, _ = derivatives(best)
    assert abs(slope) <= 1e-12 or best == pytest.approx(root, rel=1e-13)


def test_the_search_takes_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    evaluate = _NllSlope.__call__

    def counted(self: _NllSlope, inverse: float) -> tuple[float, float]:
        calls.append(inverse)
        return evaluate(self, inverse)

    monkeypatch.setattr(_NllSlope, "__call__", counted)
    log_p = log_softmax(np.random.default_rng(0).normal(0, 3, (500, 10)), axis=1)
    value = fit_temperature(log_p, sampled_targets(log_softmax(log_p / 2, axis=1)))
    assert value == pytest.approx(2, rel=0.1)
    assert len(calls) <= 12


@pytest.mark.parametrize(
    ("log_p", "targets"),
    [
        (np.full((4, 3), -np.log(3)), [0, 1, 2, 0]),
        (np.array([[0.0, -np.inf]]), [0]),
        (np.array([[0.0, -np.inf]]), [1]),
        (np.zeros((3, 1)), [0, 0, 0]),
    ],
)
def test_the_temperature_is_1_if_it_has_no_effect(log_p: Array, targets: list[int]) -> None:
    assert fit_temperature(log_p, targets) == 1


def test_impossible_classes_do_not_disturb_the_temperature(rng: np.random.Generator) -> None:
    log_p = log_softmax(rng.normal(0, 3, (200, 4)), axis=1)
    targets = sampled_targets(log_softmax(log_p / 2, axis=1))
    expected = fit_temperature(log_p, targets)
    impossible = np.full((200, 1), -np.inf)
    assert fit_temperature(np.hstack((log_p, impossible)), targets) == pytest.approx(
        expected, rel=1e-12
    )
    # An example at infinity for every T is left out.
    more = np.vstack((log_p, [[0.0, -np.inf, -np.inf, -np.inf]]))
    assert fit_temperature(more, np.append(targets, 2)) == pytest.approx(expected, rel=1e-12)


@given(case=cases(), seed=st.integers(0, 99), scale=st.floats(0.01, 100))
def test_no_other_temperature_within_the_bounds_is_better(
    case: Case, seed: int, scale: float
) -> None:
    probabilities, targets = case
    log_p = log_softmax(scale * np.log(probabilities + 1e-3), axis=1)
    value = fit_temperature(log_p, targets)
    assert 0.05 <= value <= 20
    best = tempered_nll(log_p, targets, value)
    alternatives = [0.05, 0.5, 1.0, 5.0, 20.0, 1.01 * value, 0.99 * value]
    rounding = 1e-12 * max(1.0, scale)
    for alternative in alternatives:
        if 0.05 <= alternative <= 20:
            assert best <= tempered_nll(log_p, targets, alternative) + rounding
    order = np.random.default_rng(seed).permutation(len(targets))
    again = fit_temperature(log_p[order], targets[order])
    assert tempered_nll(log_p, targets, again) == pytest.approx(best, abs=rounding)


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.inf])
def test_temperature_is_above_zero(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature"):
        temper([[0.0, 0.0]], temperature)
