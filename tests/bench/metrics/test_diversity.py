from __future__ import annotations

from itertools import combinations
from itertools import permutations as ordered_pairs

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import log_softmax

from distillation_bench.bench.metrics.diversity import (
    disagreement,
    pairwise_kl,
    pairwise_kl_gaussian,
)
from distillation_bench.bench.metrics.fidelity import kl_of_gaussians, kl_of_means

Array = NDArray[np.float64]

SHAPES = [(2, 1, 1), (2, 1, 3), (3, 50, 2), (7, 20, 10)]


def members(shape: tuple[int, ...], seed: int = 0) -> Array:
    logits = np.random.default_rng(seed).normal(0, 3, shape)
    return np.asarray(log_softmax(logits, axis=-1))


@pytest.mark.parametrize("shape", SHAPES)
def test_disagreement_equals_a_loop_over_pairs(shape: tuple[int, ...]) -> None:
    log_p = members(shape)
    top = log_p.argmax(2)
    pairs = [(top[i] != top[j]).mean() for i, j in combinations(range(shape[0]), 2)]
    assert disagreement(log_p) == pytest.approx(np.mean(pairs), abs=1e-12)
    assert disagreement(np.exp(log_p)) == disagreement(log_p)


def test_disagreement_equals_the_calculation_by_hand() -> None:
    sure = np.eye(3)
    assert disagreement([[sure[0]], [sure[0]], [sure[0]]]) == 0
    assert disagreement([[sure[0]], [sure[1]], [sure[2]]]) == 1
    assert disagreement([[sure[0]], [sure[0]], [sure[2]]]) == pytest.approx(2 / 3, abs=1e-15)
    # The first of equal classes counts.
    assert disagreement([[[0.5, 0.5]], [[0.9, 0.1]]]) == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_pairwise_kl_equals_a_loop_over_pairs(shape: tuple[int, ...]) -> None:
    log_p = members(shape)
    expected = np.mean([kl_of_means(p, q) for p, q in ordered_pairs(log_p, 2)])
    assert pairwise_kl(log_p) == pytest.approx(expected, abs=1e-12)


def test_pairwise_kl_is_mutual_information_and_its_reverse() -> None:
    log_p = members((5, 40, 6))
    mean = np.log(np.exp(log_p).mean(0))
    forward = np.mean([kl_of_means(p, mean) for p in log_p])
    backward = np.mean([kl_of_means(mean, p) for p in log_p])
    # The identity counts the pairs i = j, too, where the divergence is 0.
    assert pairwise_kl(log_p) * 4 / 5 == pytest.approx(forward + backward, abs=1e-12)


def test_pairwise_kl_of_almost_equal_members() -> None:
    epsilon = 1e-6
    p = np.array([[[0.5 + epsilon, 0.5 - epsilon]], [[0.5 - epsilon, 0.5 + epsilon]]])
    expected = 2 * epsilon * np.log((0.5 + epsilon) / (0.5 - epsilon))
    # ln p itself is rounded by 1e-16.
    assert pairwise_kl(np.log(p)) == pytest.approx(expected, abs=1e-15)


def test_pairwise_kl_with_zero_probabilities() -> None:
    sure, unsure = [[0.0, -np.inf]], np.log([[0.5, 0.5]])
    assert pairwise_kl(np.array([sure, sure])) == 0
    assert pairwise_kl(np.array([sure, unsure])) == np.inf
    equal_heads = np.array([[[np.log(0.5), np.log(0.5), -np.inf]]] * 3)
    assert pairwise_kl(equal_heads) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize(("heads", "examples"), [(2, 1), (3, 50), (8, 20)])
def test_pairwise_kl_of_gaussians_equals_a_loop_over_pairs(
    rng: np.random.Generator, heads: int, examples: int
) -> None:
    means = rng.normal(0, 2, (heads, examples))
    variances = rng.uniform(0.1, 4, (heads, examples))
    pairs = ordered_pairs(zip(means, variances, strict=True), 2)
    expected = np.mean([kl_of_gaussians(*teacher, *student) for teacher, student in pairs])
    assert pairwise_kl_gaussian(means, variances) == pytest.approx(expected, rel=1e-12)


def test_pairwise_kl_of_gaussians_equals_the_calculation_by_hand() -> None:
    assert pairwise_kl_gaussian([[0.0], [2.0]], [[1.0], [1.0]]) == 2
    assert pairwise_kl_gaussian([[3.0, 1.0]] * 4, [[0.7, 1e-9]] * 4) == 0
    # ½ (4 + 1/4) / 2 − ½ is the mean of both directions.
    value = pairwise_kl_gaussian([[0.0], [0.0]], [[1.0], [4.0]])
    assert value == pytest.approx(4.25 / 4 - 0.5, abs=1e-15)


def test_pairwise_kl_of_gaussians_far_from_zero(rng: np.random.Generator) -> None:
    # Multiples of 1/1024, so that moving them loses nothing.
    means = rng.integers(-4096, 4096, (5, 30)) / 1024
    variances = rng.uniform(0.5, 1, (5, 30))
    expected = pairwise_kl_gaussian(means, variances)
    moved = pairwise_kl_gaussian(means + 2.0**20, variances)
    assert moved == pytest.approx(expected, rel=1e-9)


def test_pairwise_kl_of_point_masses() -> None:
    assert pairwise_kl_gaussian([[1.0], [1.0]], [[0.0], [0.0]]) == 0
    assert pairwise_kl_gaussian([[1.0], [2.0]], [[0.0], [0.0]]) == np.inf
    assert pairwise_kl_gaussian([[1.0], [1.0]], [[0.0], [1.0]]) == np.inf


@given(st.integers(2, 6), st.integers(1, 15), st.integers(1, 5), st.integers(0, 999))
def test_order_does_not_matter(heads: int, examples: int, classes: int, seed: int) -> None:
    log_p = members((heads, examples, classes), seed)
    rng = np.random.default_rng(seed)
    shuffled = log_p
    for axis in range(3):
        shuffled = rng.permutation(shuffled, axis=axis)
    assert disagreement(shuffled) == pytest.approx(disagreement(log_p), abs=1e-12)
    assert pairwise_kl(shuffled) == pytest.approx(pairwise_kl(log_p), abs=1e-12)
    assert 0 <= disagreement(log_p) <= 1
    means, variances = log_p[:, :, 0], rng.uniform(0.5, 2, (heads, examples))
    order = rng.permutation(heads)
    value = pairwise_kl_gaussian(means[order], variances[order])
    assert value == pytest.approx(pairwise_kl_gaussian(means, variances), rel=1e-12)


def test_one_member_has_no_pairs() -> None:
    single_head = members((1, 5, 3))
    assert np.isnan(disagreement(single_head))
    assert np.isnan(pairwise_kl(single_head))
    assert np.isnan(pairwise_kl_gaussian(single_head[:, :, 0], -single_head[:, :, 1]))


def test_nan_gives_nan() -> None:
    log_p = members((3, 4, 2))
    log_p[1, 2, 0] = np.nan
    assert np.isnan(disagreement(log_p))
    assert np.isnan(pairwise_kl(log_p))
    good = np.ones((3, 4))
    assert np.isnan(pairwise_kl_gaussian(log_p[:, :, 0], good))
    assert np.isnan(pairwise_kl_gaussian(good, np.abs(log_p[:, :, 0])))


def test_bad_input_is_refused() -> None:
    for metric in (disagreement, pairwise_kl):
        with pytest.raises(ValueError, match="3 dimension"):
            metric(np.ones((2, 2)))
        with pytest.raises(ValueError, match="non-empty"):
            metric(np.empty((2, 0, 3)))
    with pytest.raises(ValueError, match="2 dimension"):
        pairwise_kl_gaussian(np.ones(3), np.ones(3))
    with pytest.raises(ValueError, match="variances must have shape"):
        pairwise_kl_gaussian(np.ones((2, 3)), np.ones((2, 1)))
    with pytest.raises(ValueError, match="must not be negative"):
        pairwise_kl_gaussian(np.ones((2, 1)), -np.ones((2, 1)))
