"""Statistics against scipy, against calculations by hand, and on data without a difference."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats
from tests.simulation.null import NOISES, coverage, false_positives, over_datasets, pooling

from distillation_bench.bench.analysis import statistics
from distillation_bench.bench.analysis.statistics import (
    average_ranks,
    critical_difference,
    effect_size,
    friedman_p,
    holm,
    nemenyi_p,
    paired_interval,
    probability_of_improvement,
    seeds_needed,
    sign_flip_p,
    smallest_p,
    wilcoxon_p,
)


def normal_sample(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([n, seed]).normal(0.4, 1, n)


def counted(differences: np.ndarray) -> float:
    """Return the sign-flip p from all combinations of signs."""
    sums = [abs(np.dot(signs, differences)) for signs in product((-1, 1), repeat=len(differences))]
    return float(np.mean(np.array(sums) >= abs(differences.sum()) - 1e-9))


def test_the_interval_equals_the_calculation_by_hand() -> None:
    # 1, 2, 3: standard error 1/√3, t(2) at .975 is 4.302653.
    assert paired_interval([1, 2, 3]) == pytest.approx((2, 2 - 2.484138, 2 + 2.484138))


@pytest.mark.parametrize("n", [2, 3, 10, 40])
def test_the_interval_is_that_of_students_t(n: int) -> None:
    values = normal_sample(n)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert paired_interval(values, 0.9)[1:] == pytest.approx(tuple(expected))


def test_one_difference_has_no_interval_and_no_effect_size() -> None:
    mean, low, high = paired_interval([0.5])
    assert mean == 0.5
    assert math.isnan(low)
    assert math.isnan(high)
    assert math.isnan(effect_size([0.5]))
    assert sign_flip_p([0.5]) == wilcoxon_p([0.5]) == smallest_p(1) == 1


def test_the_effect_size_equals_the_calculation_by_hand() -> None:
    # d = 2 / 1; the factor for 2 degrees of freedom is Γ(1) / (√1 Γ(1/2)) = 1 / √π.
    assert effect_size([1, 2, 3]) == pytest.approx(2 / math.sqrt(math.pi))
    assert math.isnan(effect_size([0.1, 0.1, 0.3 - 0.2]))


def test_the_probability_of_improvement_counts_pairs_of_runs() -> None:
    assert probability_of_improvement([3, 1], [2, 1]) == pytest.approx(2.5 / 4)
    a, b = normal_sample(6), normal_sample(8)
    expected = stats.mannwhitneyu(a, b).statistic / 48
    assert probability_of_improvement(a, b) == pytest.approx(expected)


@pytest.mark.parametrize("n", range(1, 13))
def test_all_sign_flips_are_counted(n: int) -> None:
    assert sign_flip_p(normal_sample(n)) == pytest.approx(counted(normal_sample(n)))


def test_sign_flip_p_equals_scipys_permutation_test() -> None:
    values = normal_sample(11)
    test = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flip_p(values) == pytest.approx(test.pvalue)


def test_sums_that_tie_up_to_rounding_are_counted() -> None:
    # 0.1 + 0.2 - 0.3 is not zero in floating point.
    values = np.array([0.1, 0.2, -0.3, 0.3])
    assert sign_flip_p(values) == counted(values)
    assert sign_flip_p([0.3, -0.1, -0.2]) == 1


@pytest.mark.parametrize("n", [21, 24, 26])
def test_many_flips_are_counted_on_a_grid(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    p_values = [sign_flip_p(normal_sample(n, seed)) for seed in range(5)]
    monkeypatch.setattr(statistics, "ENUMERATED", 30)
    assert p_values == pytest.approx(
        [sign_flip_p(normal_sample(n, seed)) for seed in range(5)], rel=5e-3
    )


def test_many_flips_do_not_depend_on_order() -> None:
    values = normal_sample(47)
    assert sign_flip_p(values) == sign_flip_p(values[::-1]) == sign_flip_p(np.sort(values))
    assert sign_flip_p(values) == sign_flip_p(-1000 * values)
    assert sign_flip_p(values) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, rel=0.05)
    assert sign_flip_p(np.zeros(30)) == 1


@pytest.mark.parametrize("n", [*range(2, 15), 20, 30, 50, 100])
def test_wilcoxon_p_equals_scipys(n: int) -> None:
    assert wilcoxon_p(normal_sample(n)) == pytest.approx(
        stats.wilcoxon(normal_sample(n), method="exact").pvalue
    )


def test_wilcoxon_of_many_ties_is_near_the_normal_approximation() -> None:
    values = np.rint(10 * normal_sample(100, 2)) - 4
    expected = stats.wilcoxon(values, method="asymptotic", correction=False).pvalue
    assert wilcoxon_p(values) == pytest.approx(expected, rel=0.02)
    assert wilcoxon_p(normal_sample(300)) == pytest.approx(
        stats.wilcoxon(normal_sample(300)).pvalue, rel=0.05
    )


def test_wilcoxon_with_ties_equals_the_calculation_by_hand() -> None:
    # A zero is left out; ranks 2, 2, 2, -4 sum to 2, and no other signs come nearer to 0.
    assert wilcoxon_p([0.1, 0.1, 0.2 - 0.1, -0.5, 0]) == 1
    # Sums 10 and -10 alone reach 10.
    assert wilcoxon_p([1, 1, 1, 5]) == 2 / 16


def test_without_any_difference_p_is_1() -> None:
    zeros = [0.0] * 8
    assert paired_interval(zeros) == (0, 0, 0)
    assert sign_flip_p(zeros) == wilcoxon_p(zeros) == 1
    assert math.isnan(effect_size(zeros))
    assert friedman_p(np.ones((5, 3))) == 1


@pytest.mark.parametrize(("n", "expected"), [(1, 1), (3, 0.25), (10, 1 / 512), (30, 2**-29)])
def test_the_smallest_possible_p_is_reached(n: int, expected: float) -> None:
    assert smallest_p(n) == expected == sign_flip_p(range(1, n + 1)) == wilcoxon_p(range(1, n + 1))


@pytest.mark.parametrize(
    ("comparisons", "seeds"), [(1, 6), (3, 7), (7, 9), (9, 9), (45, 11), (30_000, 21)]
)
def test_the_number_of_needed_seeds(comparisons: int, seeds: int) -> None:
    assert seeds_needed(comparisons) == seeds
    assert comparisons * smallest_p(seeds) <= 0.05 < comparisons * smallest_p(seeds - 1)


def test_holm_equals_the_calculation_by_hand() -> None:
    nan = math.nan
    assert holm([0.04, 0.01, nan, 0.03]) == pytest.approx([0.06, 0.03, nan, 0.06], nan_ok=True)
    assert list(holm([0.9, 0.8])) == [1, 1]
    assert list(holm([])) == []


def test_friedman_p_equals_scipys() -> None:
    table = np.random.default_rng(0).normal(size=(7, 4))
    for values in (table, table.round(0)):
        assert friedman_p(values) == pytest.approx(stats.friedmanchisquare(*values.T).pvalue)


def test_ranks_and_nemenyi_equal_published_values() -> None:
    table = [[1, 2, 3], [1, 3, 3], [2, 1, 3]]
    assert average_ranks(table) == pytest.approx([4 / 3, 11 / 6, 17 / 6])
    rounded = [0.1 + 0.2, 0.3, 1e9]
    assert average_ranks([rounded, [-x for x in rounded]]) == pytest.approx([2, 2, 2])
    # Demšar 2006, table 5a: q of .05 for 2, 5 and 10 methods is 1.960, 2.728, 3.164.
    for k, q in ((2, 1.960), (5, 2.728), (10, 3.164)):
        apart = critical_difference(k, 30)
        assert apart / math.sqrt(k * (k + 1) / 180) == pytest.approx(q, abs=6e-4)
        ranks = np.linspace(1, 1 + apart, k)
        assert nemenyi_p(ranks, 30)[0, -1] == pytest.approx(0.05, abs=1e-6)


@pytest.mark.parametrize("bad", [[], [1, math.nan], [math.inf], [[1.0]]])
def test_nan_is_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        sign_flip_p(bad)
    with pytest.raises(ValueError, match="finite"):
        friedman_p([[1, math.nan]])


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_intervals_cover_as_stated(noise: str, seeds: int) -> None:
    rate = coverage(20_000, seeds, noise)
    # Exact for normal figures, wider than needed for the others.
    most = 0.95 if noise == "normal" else 0.96
    assert 0.95 - 3 * rate.error <= rate.share <= most + 3 * rate.error


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize(("seeds", "flips", "ranks"), [(6, 2, 2), (8, 12, 10), (10, 50, 50)])
def test_tests_reject_as_often_as_the_signs_allow(
    noise: str, seeds: int, flips: int, ranks: int
) -> None:
    # So many of the 2^n ways of signs have p ≤ .05: by binomial sums, and by tables of Wilcoxon's.
    flip, rank, family = false_positives(5000, seeds, noise)
    for rate, ways in ((flip, flips), (rank, ranks)):
        assert rate.share == pytest.approx(ways / 2**seeds, abs=3 * rate.error)
    assert family.share <= 0.05 + 3 * family.error


def test_error_rates_over_datasets_are_as_documented() -> None:
    for rate in over_datasets(500, 6):
        assert rate.share <= 0.05 + 3 * rate.error, rate


def test_pooled_seeds_reject_too_often_for_new_datasets() -> None:
    pooled, means = pooling(500)
    assert pooled.share > 0.15
    assert means.share <= 0.05 + 3 * means.error
