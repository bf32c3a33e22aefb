from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillation_bench.datasets.base import Split
from distillation_bench.datasets.image_files.image_dataset import held_out, held_out_count
from distillation_bench.datasets.stratified_sampling import (
    class_quotas,
    rare_classes,
    shortened_list,
    stratified_rows,
)

HOSTILE = (1, 2, 3, 9, 11, 1000)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def split_of(counts: tuple[int, ...], seed: int = 0) -> Split:
    """Return a split of mixed classes whose inputs are the row numbers."""
    labels = rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    return Split(np.arange(len(labels)), labels)


def counted(labels: np.ndarray, classes: int) -> list[int]:
    return [int((labels == label).sum()) for label in range(classes)]


@pytest.mark.parametrize(
    ("counts", "size", "expected"),
    [
        # 1, 2, 2, 2, 2, 2 first; of 1014 others 913 go to 0, 0, 1, 7, 9, 998 at .8993 each.
        (HOSTILE, 924, [1, 2, 3, 8, 10, 900]),
        ((6000,) * 10, 54_000, [5400] * 10),
        # No room for two of each: one of each, then 3 in proportion to 0, 1, 2, 8, 10, 999.
        (HOSTILE, 9, [1, 1, 1, 1, 1, 4]),
        # No room for one of each.
        (HOSTILE, 5, [0, 0, 0, 0, 0, 5]),
        (HOSTILE, 1026, list(HOSTILE)),
        (HOSTILE, 0, [0] * 6),
        ((1, 1, 1), 3, [1, 1, 1]),
    ],
)
def test_quotas_equal_the_calculation_by_hand(
    counts: tuple[int, ...], size: int, expected: list[int]
) -> None:
    assert class_quotas(np.array(counts), size, rng()).tolist() == expected


@given(st.lists(st.integers(1, 300), min_size=1, max_size=12), st.data())
def test_quotas_are_fair_integers_within_the_class_sizes(
    counts: list[int], data: st.DataObject
) -> None:
    size = data.draw(st.integers(0, sum(counts)))
    quotas = class_quotas(np.array(counts), size, rng())
    assert quotas.sum() == size
    assert (quotas >= 0).all() and (quotas <= counts).all()
    for least in (1, 2):
        first = np.minimum(counts, least)
        if first.sum() <= size:
            assert (quotas >= first).all()
    ordered = quotas[np.argsort(counts, kind="stable")]
    assert (np.diff(ordered) >= -1).all()


def test_equal_remainders_are_decided_at_random() -> None:
    remainders = {tuple(class_quotas(np.array([5] * 4), 10, rng(seed)) - 2) for seed in range(40)}
    assert all(sum(remainder) == 2 and set(remainder) == {0, 1} for remainder in remainders)
    assert len(remainders) == 6
    again = [class_quotas(np.array([5] * 4), 10, rng(3)).tolist() for _ in range(2)]
    assert again[0] == again[1]


def test_a_subset_is_random_ascending_and_of_every_class() -> None:
    split = split_of(HOSTILE)
    for size in (6, 40, 1000):
        rows = stratified_rows(split.y, size, rng(1))
        assert len(rows) == size and (np.diff(rows) > 0).all()
        assert min(counted(split.y[rows], 6)) >= 1
    assert not np.array_equal(
        stratified_rows(split.y, 40, rng(1)), stratified_rows(split.y, 40, rng(2))
    )
    np.testing.assert_array_equal(
        stratified_rows(split.y, 40, rng(1)), stratified_rows(split.y, 40, rng(1))
    )
    # Random within a class: all 1,000 are as likely.
    samples = [stratified_rows(split.y, 100, rng(seed)) for seed in range(30)]
    mean = np.mean([split.x[rows][split.y[rows] == 5].mean() for rows in samples])
    assert abs(mean - split.x[split.y == 5].mean()) < 25


@pytest.mark.parametrize(
    ("counts", "validation"),
    [
        (HOSTILE, [0, 0, 0, 1, 1, 100]),
        ((100,) * 10, [10] * 10),
        ((1,) * 20, [0] * 20),
        ((2,) + (1,) * 30, [1] + [0] * 30),
    ],
)
def test_holding_out_leaves_some_examples_of_every_class(
    counts: tuple[int, ...], validation: list[int]
) -> None:
    split = split_of(counts)
    train, validation_split = held_out(split, rng())
    assert counted(validation_split.y, len(counts)) == validation
    assert len(validation_split) == held_out_count(counts)
    np.testing.assert_array_equal(np.sort(np.concatenate([train.x, validation_split.x])), split.x)
    for part in (train, validation_split):
        np.testing.assert_array_equal(split.y[part.x], part.y)
        assert (np.diff(part.x) > 0).all()


def test_rare_classes_are_named() -> None:
    names = [f"c{number}" for number in range(9)]
    counts = {"train": [5, 1, 9, 9, 9, 9, 9, 9, 9], "test": [0] * 7 + [1, 1]}
    assert rare_classes(counts, names) == [
        "classes of fewer than 2 training examples: c1",
        "classes without a test example: c0, c1, c2, c3, c4 and 2 more",
    ]
    assert rare_classes({"train": [2, 2], "validation": [1, 1], "test": [1, 1]}, ["a", "b"]) == []
    assert shortened_list(["a"]) == "a"
