from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.special import log_softmax, rel_entr
from scipy.stats import norm, spearmanr

from distillation_bench.bench.metrics.fidelity import (
    agreement,
    histogram,
    histogram_distance,
    kl_of_gaussians,
    kl_of_means,
    robust_upper_end,
    spearman,
)

Array = NDArray[np.float64]

PAIRS = arrays(np.float64, st.tuples(st.just(2), st.integers(1, 40)), elements=st.floats(-1, 3))
TIED_PAIRS = arrays(
    np.float64,
    st.tuples(st.just(2), st.integers(1, 40)),
    elements=st.sampled_from([-np.inf, 0.0, 0.5, 1.0, np.inf]),
)


def log_tables(rng: np.random.Generator, examples: int, classes: int) -> tuple[Array, Array]:
    first, second = log_softmax(rng.normal(0, 3, (2, examples, classes)), axis=2)
    return first, second


@pytest.mark.parametrize(("examples", "classes"), [(1, 1), (1, 4), (500, 10)])
def test_kl_of_means_equals_scipys(rng: np.random.Generator, examples: int, classes: int) -> None:
    teacher, student = log_tables(rng, examples, classes)
    expected = rel_entr(np.exp(teacher), np.exp(student)).sum(1).mean()
    assert kl_of_means(teacher, student) == pytest.approx(expected, abs=1e-12)
    assert kl_of_means(teacher, teacher) == 0


def test_kl_equals_torchmetrics(torchmetrics: Any, rng: np.random.Generator) -> None:
    import torch

    teacher, student = log_tables(rng, 300, 7)
    expected = torchmetrics.kl_divergence(
        torch.from_numpy(teacher), torch.from_numpy(student), log_prob=True
    )
    assert kl_of_means(teacher, student) == pytest.approx(float(expected), abs=1e-12)


def test_kl_equals_the_calculation_by_hand() -> None:
    half, quarter = np.log([[0.5, 0.5]]), np.log([[0.25, 0.75]])
    assert kl_of_means(half, quarter) == pytest.approx(np.log(4 / 3) / 2, abs=1e-15)


def test_kl_with_zero_probabilities() -> None:
    sure, unsure = np.array([[0.0, -np.inf]]), np.log([[0.5, 0.5]])
    assert kl_of_means(sure, unsure) == pytest.approx(np.log(2), abs=1e-15)
    assert kl_of_means(unsure, sure) == np.inf
    assert kl_of_means(sure, sure) == 0
    assert kl_of_means(sure, sure[:, ::-1]) == np.inf
    # A probability that underflows weighs nothing.
    assert kl_of_means([[0.0, -800.0]], sure) == 0


def test_kl_of_gaussians_is_the_integral() -> None:
    mean_p, variance_p, mean_q, variance_q = 0.3, 0.5, -0.4, 1.7

    def integrand(x: float) -> float:
        p, q = norm(mean_p, np.sqrt(variance_p)), norm(mean_q, np.sqrt(variance_q))
        return float(p.pdf(x) * (p.logpdf(x) - q.logpdf(x)))

    expected = quad(integrand, -12, 12, epsabs=1e-12)[0]
    value = kl_of_gaussians([mean_p], [variance_p], [mean_q], [variance_q])
    assert value == pytest.approx(expected, abs=1e-10)


def test_kl_of_gaussians_equals_the_calculation_by_hand() -> None:
    assert kl_of_gaussians([1.0], [2.0], [1.0], [2.0]) == 0
    assert kl_of_gaussians([0.0, 0.0], [1.0, 1.0], [2.0, 0.0], [1.0, 1.0]) == 1
    expected = (np.log(4) + 1 / 4 - 1) / 2
    assert kl_of_gaussians([0.0], [1.0], [0.0], [4.0]) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    ("moments", "expected"),
    [
        ((1, 0, 1, 0), 0),
        ((1, 0, 2, 0), np.inf),
        ((1, 1, 1, 0), np.inf),
        ((1, 0, 1, 1), np.inf),
        ((np.nan, 0, 1, 0), np.nan),
        ((np.nan, 1, 1, 1), np.nan),
        ((1, np.nan, 1, 0), np.nan),
        ((1, 1, 1, np.nan), np.nan),
    ],
)
def test_kl_of_gaussians_at_the_limits(moments: tuple[float, ...], expected: float) -> None:
    value = kl_of_gaussians(*([moment] for moment in moments))
    assert value == pytest.approx(expected, nan_ok=True)


def test_agreement_equals_the_calculation_by_hand() -> None:
    teacher = [[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.5, 0.5]]
    student = [[0.6, 0.4], [0.7, 0.3], [0.5, 0.5], [0.4, 0.6]]
    assert agreement(teacher, student) == 0.5


def test_agreement_equals_a_loop(rng: np.random.Generator) -> None:
    teacher, student = rng.integers(0, 4, (2, 300, 5)).astype(np.float64)
    pairs = zip(teacher.tolist(), student.tolist(), strict=True)
    agreements = [t.index(max(t)) == s.index(max(s)) for t, s in pairs]
    assert agreement(teacher, student) == sum(agreements) / 300
    assert agreement(student, teacher) == agreement(teacher, student)


def test_histogram_distance_equals_the_calculation_by_hand() -> None:
    # Bins of width 1/2 on [0, 1]: (1/2, 1/2) and (1/4, 3/4).
    assert histogram_distance([0.1, 0.6], [0.2, 0.5, 0.7, 1.0], 1.0, bins=2) == 0.25
    assert histogram_distance([0.0], [1.0], 1.0) == 1
    assert histogram_distance([0.3, 0.3], [0.3], 1.0) == 0


def test_histogram_clips_into_the_end_bins() -> None:
    assert histogram_distance([1.0, 2.0, np.inf], [0.999], 1.0) == 0
    assert histogram_distance([-1e-17], [0.001], 1.0) == 0
    assert histogram_distance([0.5, 5.0], [0.5, 1.0], 1.0) == 0


def test_the_robust_upper_end_equals_the_calculation_by_hand() -> None:
    # Quartiles 2 and 5 of 0 … 7: 5 + 3 · 3; of nearly equal values twice the upper one.
    assert robust_upper_end(np.arange(8.0)) == 14
    assert robust_upper_end([1.0, 1.0, 1.25, 1.0]) == 2
    assert robust_upper_end([3.0]) == 6
    assert robust_upper_end(np.zeros(9)) == 1
    assert np.isnan(robust_upper_end([1.0, np.nan]))


@pytest.mark.parametrize("size", [4, 30, 1000])
def test_the_upper_end_is_robust_to_a_quarter_of_huge_values(
    rng: np.random.Generator, size: int
) -> None:
    values = rng.gamma(2.0, 1.0, size)
    plain = robust_upper_end(values)
    largest = values.argsort()[-(size // 4) :]
    assert robust_upper_end(np.where(np.isin(np.arange(size), largest), np.inf, values)) == plain
    assert plain < 4 * np.partition(values, -(size // 4) - 1)[-(size // 4) - 1]
    shares = histogram(values * 1e4, plain)
    assert shares.sum() == pytest.approx(1) and shares[-1] > 0.99


def test_more_uncertainty_than_a_teacher_that_is_sure_of_its_noise_is_seen() -> None:
    teacher = np.full(50, 0.7)
    assert histogram_distance(teacher, 1.5 * teacher, robust_upper_end(teacher)) == 1


@given(PAIRS, st.integers(1, 60))
def test_histogram_distance_equals_a_loop(pair: Array, bins: int) -> None:
    def share(values: Array, b: int) -> float:
        edges = np.linspace(0, 2, bins + 1)
        clipped = [min(max(v, 0.0), 2.0) for v in values]
        closed = b == bins - 1
        inside = [edges[b] <= v < edges[b + 1] or (closed and v == 2) for v in clipped]
        return float(np.mean(inside))

    expected = sum(abs(share(pair[0], b) - share(pair[1], b)) for b in range(bins)) / 2
    value = histogram_distance(pair[0], pair[1], 2.0, bins)
    assert value == pytest.approx(expected, abs=1e-12)
    assert 0 <= value <= 1 + 1e-12
    assert histogram_distance(pair[1], pair[0], 2.0, bins) == value


@given(PAIRS | TIED_PAIRS)
def test_spearman_equals_scipys(pair: Array) -> None:
    a, b = pair
    value = spearman(a, b)
    if min(len(set(a)), len(set(b))) < 2:
        assert np.isnan(value)
        return
    # In ranks, as scipy subtracts infinite values.
    ranks = [np.unique(values, return_inverse=True)[1] for values in pair]
    assert value == pytest.approx(spearmanr(*ranks).statistic, abs=1e-12)
    assert spearman(b, a) == value
    assert spearman(a, -b) == pytest.approx(-value, abs=1e-12)
    assert spearman(a, a) == 1


def test_spearman_equals_torchmetrics(torchmetrics: Any, rng: np.random.Generator) -> None:
    import torch

    a = rng.normal(size=400).round(1)
    b = (a + rng.normal(size=400)).round(1)
    expected = torchmetrics.spearman_corrcoef(torch.from_numpy(a), torch.from_numpy(b))
    # It computes with a small constant in the denominator.
    assert spearman(a, b) == pytest.approx(float(expected), abs=1e-6)


@given(st.integers(0, 999))
def test_row_order_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    teacher, student = log_tables(rng, 20, 3)
    a, b = rng.random((2, 20)).round(1)
    v, w = rng.random((2, 20)) + 0.1
    order = rng.permutation(20)
    pairs = [
        (kl_of_means(teacher[order], student[order]), kl_of_means(teacher, student)),
        (agreement(teacher[order], student[order]), agreement(teacher, student)),
        (spearman(a[order], b[order]), spearman(a, b)),
        (histogram_distance(a[order], b, 1.0), histogram_distance(a, b, 1.0)),
        (kl_of_gaussians(a[order], v[order], b[order], w[order]), kl_of_gaussians(a, v, b, w)),
    ]
    for value, expected in pairs:
        assert value == pytest.approx(expected, abs=1e-12)
    swapped = teacher[:, ::-1], student[:, ::-1]
    assert kl_of_means(*swapped) == pytest.approx(kl_of_means(teacher, student), abs=1e-12)
    assert kl_of_means(teacher, student) >= 0
    assert kl_of_gaussians(a, v, b, w) >= 0


def test_nan_gives_nan() -> None:
    good, void = np.log([[0.5, 0.5]]), np.array([[np.nan, -1.0]])
    for pair in ((good, void), (void, good)):
        assert np.isnan(kl_of_means(*pair))
        assert np.isnan(agreement(*pair))
        assert np.isnan(spearman(pair[0][0], pair[1][0]))
        assert np.isnan(histogram_distance(pair[0][0], pair[1][0], 1.0))
    assert np.isnan(kl_of_means([[0.0, -np.inf]], [[0.0, np.nan]]))
    assert np.isnan(histogram_distance([np.nan], [1.0], np.nan))
    assert np.isnan(histogram_distance([np.inf], [1.0], np.inf))


def test_bad_input_is_refused() -> None:
    table, row = np.full((2, 2), 0.5), np.ones(2)
    for metric in (kl_of_means, agreement):
        with pytest.raises(ValueError, match="shape"):
            metric(table, table[:1])
        with pytest.raises(ValueError, match="2 dimension"):
            metric(row, row)
    with pytest.raises(ValueError, match="shape"):
        spearman(row, row[:1])
    with pytest.raises(ValueError, match="non-empty"):
        spearman([], [])
    with pytest.raises(ValueError, match="teacher must be a non-empty"):
        histogram_distance([], row, 1.0)
    with pytest.raises(ValueError, match="student_variance must have shape"):
        kl_of_gaussians(row, row, row, row[:1])
    with pytest.raises(ValueError, match="teacher_variance must not be negative"):
        kl_of_gaussians(row, -row, row, row)


@pytest.mark.parametrize(("upper", "bins"), [(0.0, 50), (-1.0, 50), (1.0, 0)])
def test_bad_histograms_are_refused(upper: float, bins: int) -> None:
    with pytest.raises(ValueError, match="above 0"):
        histogram_distance([0.5], [0.5], upper, bins)


@given(
    st.lists(st.floats(-1, 3), min_size=1, max_size=40),
    st.floats(1e-3, 2.5),
    st.integers(1, 60),
)
def test_a_histogram_equals_numpys(values: list[float], upper: float, bins: int) -> None:
    edges = np.linspace(0, upper, bins + 1)
    array = np.concatenate(
        [values, edges, np.nextafter(edges, 0), np.nextafter(edges, 9), [np.nan]]
    )
    counts, _ = np.histogram(array[:-1].clip(0, upper), bins, (0, upper))
    np.testing.assert_array_equal(histogram(array, upper, bins), counts / len(array))
