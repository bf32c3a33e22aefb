from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import entr
from torch import Tensor

from distillation_bench.methods.credal_entropy import ENUMERATED, largest, smallest, smallest_bound
from distillation_bench.methods.predictions import CredalInterval

Array = NDArray[np.float64]
Intervals = Callable[..., tuple[Tensor, Tensor]]


@pytest.fixture
def intervals(draw: Callable[..., Tensor]) -> Intervals:
    """intervals(20, 5): bounds around probabilities, some of them at 0 or 1."""

    def make(examples: int, classes: int) -> tuple[Tensor, Tensor]:
        p = draw(examples, classes, scale=2).softmax(-1)
        below, above = draw(examples, classes).sigmoid(), draw(examples, classes).sigmoid()
        return (p - 0.5 * below).clamp(min=0), (p + 0.5 * above).clamp(max=1)

    return make


def vertices(lower: Array, upper: Array) -> list[Array]:
    """Return all points with Σ p = 1 and all coordinates but one at an end of their interval."""
    found = []
    for free in range(len(lower)):
        others = [c for c in range(len(lower)) if c != free]
        for ends in product((0, 1), repeat=len(others)):
            p = lower.copy()
            p[others] = np.where(ends, upper[others], lower[others])
            p[free] = 1 - p[others].sum()
            if lower[free] - 1e-12 <= p[free] <= upper[free] + 1e-12:
                found.append(p)
    return found


@pytest.mark.parametrize("classes", [2, 3, 5, 8])
def test_the_smallest_entropy_is_the_least_of_all_vertices(
    classes: int, intervals: Intervals
) -> None:
    lower, upper = intervals(20, classes)
    actual = smallest(lower, upper).numpy()
    for n in range(20):
        values = [entr(p).sum() for p in vertices(lower[n].numpy(), upper[n].numpy())]
        assert actual[n] == pytest.approx(min(values), abs=1e-12)


def test_both_entropies_are_those_of_a_fine_grid(intervals: Intervals) -> None:
    """In steps of 1/1000, grid points are within 0.001 of an extreme in each coordinate."""
    lower, upper = intervals(10, 3)
    first, second = np.meshgrid(np.linspace(0, 1, 1001), np.linspace(0, 1, 1001))
    p = np.stack([first, second, 1 - first - second], -1).reshape(-1, 3)
    low, high = smallest(lower, upper).numpy(), largest(lower, upper).numpy()
    for n in range(10):
        inside = ((p >= lower[n].numpy()) & (p <= upper[n].numpy())).all(-1)
        values = entr(p[inside]).sum(-1)
        assert low[n] <= values.min() + 1e-12 and values.min() - low[n] < 0.02
        assert values.max() <= high[n] + 1e-12 and high[n] - values.max() < 0.02


@pytest.mark.parametrize("classes", [3, 6, 20])
def test_the_largest_entropy_is_that_of_an_optimiser(classes: int, intervals: Intervals) -> None:
    lower, upper = intervals(5, classes)
    actual = largest(lower, upper).numpy()
    for n in range(5):
        low, high = lower[n].numpy(), upper[n].numpy()
        start = low + (1 - low.sum()) / (high - low).sum() * (high - low)
        found = minimize(
            lambda p: -entr(p.clip(0, 1)).sum(),
            start,
            bounds=list(zip(low, high, strict=True)),
            constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
            options={"ftol": 1e-14, "maxiter": 500},
        )
        assert actual[n] == pytest.approx(-found.fun, abs=1e-5)


@pytest.mark.parametrize("classes", [2, 3, 6, 10])
def test_the_bound_is_below_the_smallest_entropy_by_at_most_one_chord(
    classes: int, intervals: Intervals
) -> None:
    """A chord is at most max −p ln p = 1/e below its curve."""
    lower, upper = intervals(100, classes)
    gap = smallest(lower, upper) - smallest_bound(lower, upper)
    assert gap.min() > -1e-12
    assert gap.max() < math.exp(-1)
    assert gap.mean() < 0.1


def test_beyond_the_enumerated_classes_it_is_the_bound(intervals: Intervals) -> None:
    lower, upper = intervals(20, ENUMERATED + 1)
    assert torch.equal(smallest(lower, upper), smallest_bound(lower, upper))
    assert (smallest(lower, upper) <= largest(lower, upper)).all()


def test_the_entropies_of_batches_are_those_of_their_examples(intervals: Intervals) -> None:
    lower, upper = intervals(40, 13)
    alone = torch.cat([smallest(lower[n : n + 1], upper[n : n + 1]) for n in range(40)])
    assert torch.equal(smallest(lower, upper), alone)


@pytest.mark.parametrize("classes", [2, 10, 30])
def test_intervals_without_width_have_the_entropy_of_the_point(
    classes: int, draw: Callable[..., Tensor]
) -> None:
    p = draw(20, classes, scale=3).softmax(-1)
    for entropy in (largest, smallest, smallest_bound):
        np.testing.assert_allclose(entropy(p, p).numpy(), entr(p.numpy()).sum(-1), atol=1e-9)


@pytest.mark.parametrize("classes", [2, 10, 30])
def test_intervals_from_0_to_1_are_uniform_or_certain(classes: int) -> None:
    lower = torch.zeros(1, classes, dtype=torch.float64)
    assert largest(lower, lower + 1).item() == pytest.approx(np.log(classes))
    assert smallest(lower, lower + 1).item() == pytest.approx(0, abs=1e-12)


def test_a_credal_prediction_clips_its_intervals_around_its_probabilities(
    draw: Callable[..., Tensor],
) -> None:
    log_p = draw(30, 4, scale=2).log_softmax(-1)
    p, widths = log_p.exp(), draw(30, 4).sigmoid()
    predicted = CredalInterval(log_p, p - 0.7 * widths, p + 0.3 * widths)
    assert (predicted.lower >= 0).all() and (predicted.upper <= 1).all()
    assert (predicted.lower <= p).all() and (p <= predicted.upper).all()
    torch.testing.assert_close(predicted.lower, (p - 0.7 * widths).clamp(min=0))
    torch.testing.assert_close(predicted.upper, (p + 0.3 * widths).clamp(max=1))
    torch.testing.assert_close(predicted.total, largest(predicted.lower, predicted.upper))
    torch.testing.assert_close(predicted.aleatoric, smallest(predicted.lower, predicted.upper))
    assert torch.equal(predicted.epistemic, predicted.total - predicted.aleatoric)
    entropy = torch.special.entr(p).sum(-1)
    assert (predicted.aleatoric <= entropy + 1e-12).all()
    assert (entropy <= predicted.total + 1e-12).all()
    torch.testing.assert_close(predicted.log_prob(torch.full((30,), 2)), log_p[:, 2])


def test_bounds_that_miss_the_probability_are_extended_to_it() -> None:
    p = torch.tensor([[0.2, 0.8]], dtype=torch.float64)
    predicted = CredalInterval(p.log(), p + 0.1, p - 0.1)
    torch.testing.assert_close(predicted.lower, p)
    torch.testing.assert_close(predicted.upper, p)
