from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.stats import rankdata

from distillation_bench.bench.metrics.order_statistics import (
    averaged_over_ties,
    midranks,
    tie_groups,
)

Array = NDArray[np.float64]

TIED = arrays(np.float64, st.integers(1, 40), elements=st.integers(-3, 3).map(float))


@given(TIED)
def test_midranks_equal_scipys(values: Array) -> None:
    np.testing.assert_array_equal(midranks(values), rankdata(values))


def test_midranks_of_infinite_values_and_of_both_zeros() -> None:
    values = [np.inf, 0.0, -0.0, -np.inf, np.inf]
    assert midranks(values).tolist() == [4.5, 2.5, 2.5, 1.0, 4.5]


def test_tie_groups_are_counted() -> None:
    starts, sizes = tie_groups(np.array([1.0, 1.0, 2.0, 3.0, 3.0, 3.0]))
    assert starts.tolist() == [0, 2, 3]
    assert sizes.tolist() == [2, 1, 3]


def test_ties_share_their_mean() -> None:
    keys, values = averaged_over_ties(
        np.array([2.0, 1.0, 2.0, 0.0]), np.array([1.0, 5.0, 0.0, 7.0])
    )
    assert keys.tolist() == [0, 1, 2, 2]
    assert values.tolist() == [7, 5, 0.5, 0.5]


@pytest.mark.parametrize("values", [np.empty(0), np.ones((2, 2))])
def test_midranks_of_a_matrix_are_refused(values: Array) -> None:
    with pytest.raises(ValueError, match="1 dimension"):
        midranks(values)
