from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest
from sklearn.datasets import (  # type: ignore[import-untyped, unused-ignore]
    load_digits,
    load_sample_images,
)
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped, unused-ignore]

from datasets import Data, Stream
from datasets.digits import Digits, DigitsWithout89
from datasets.pictures import Decoder

Streams = Callable[[int], Stream]


@pytest.fixture(scope="module")
def data(streams: Streams) -> Data:
    return Digits().load(streams(0))


@pytest.fixture(scope="module")
def without(streams: Streams) -> Data:
    return DigitsWithout89().load(streams(0))


def labelled_rows(x: np.ndarray, y: np.ndarray) -> set[tuple[bytes, int]]:
    return {(row.tobytes(), int(label)) for row, label in zip(x, y, strict=True)}


def test_splits_partition_the_source(data: Data) -> None:
    x, y = load_digits(return_X_y=True)
    splits = (data.train, data.validation, data.test)
    assert sum(len(s) for s in splits) == 1797
    together = set[tuple[bytes, int]]().union(*(labelled_rows(s.x, s.y) for s in splits))
    assert together == labelled_rows((x / 16).astype(np.float32), y)


def test_splits_are_stratified(data: Data) -> None:
    counts = np.array([np.bincount(s.y) for s in (data.train, data.validation, data.test)])
    shares = np.array([[0.5], [0.1], [0.4]])
    assert np.abs(counts - shares * counts.sum(0)).max() <= 1


def test_scikit_learn_is_imported_for_the_first_seed_alone(
    streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: dict[str, np.ndarray] = {}

    def remembered(key: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        if key not in known:
            known[key] = make()
        return known[key]

    monkeypatch.setattr(Decoder, "memo", staticmethod(remembered))
    first = Digits().load(streams(0))
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    second = Digits().load(streams(1))
    assert len(known) == 2
    assert sorted(second.ood) == sorted(first.ood)
    assert not np.array_equal(second.train.x, first.train.x)


def test_pixels_are_in_the_unit_interval(data: Data) -> None:
    for x in (data.train.x, data.ood["patches"], *(s.x for s in data.shifted.values())):
        assert x.min() >= 0
        assert x.max() <= 1
    assert data.train.x.max() == 1


def test_without_89_is_a_restriction_of_all_digits(data: Data, without: Data) -> None:
    for name in ("train", "validation", "test"):
        whole, part = getattr(data, name), getattr(without, name)
        np.testing.assert_array_equal(part.x, whole.x[whole.y < 8])
        np.testing.assert_array_equal(part.y, whole.y[whole.y < 8])


def test_near_set_is_every_8_and_9(without: Data) -> None:
    x, y = load_digits(return_X_y=True)
    np.testing.assert_array_equal(without.ood["digits-8-9"], x[y >= 8] / 16)
    assert DigitsWithout89.ood_groups == {"digits-8-9": "near", "patches": "far"}


def test_patches_are_cut_from_the_two_photographs(data: Data) -> None:
    patches = data.ood["patches"]
    assert patches.shape == (1000, 64)
    for half, photograph in zip(np.split(patches, 2), load_sample_images().images, strict=True):
        red, green, blue = np.moveaxis(photograph / 255.0, -1, 0)
        grey = 0.299 * red + 0.587 * green + 0.114 * blue
        windows = np.lib.stride_tricks.sliding_window_view(grey, (8, 8))
        for patch in half[:5].reshape(-1, 8, 8):
            found = np.argwhere(np.isclose(windows[..., 0, 0], patch[0, 0], atol=1e-6))
            assert any(np.allclose(windows[i, j], patch, atol=1e-6) for i, j in found)


def test_shifts_move_the_test_images(data: Data) -> None:
    images = data.test.x.reshape(-1, 8, 8)
    right = data.shifted["horizontal-shift", 5].x.reshape(-1, 8, 8)
    down = data.shifted["vertical-shift", 5].x.reshape(-1, 8, 8)
    np.testing.assert_array_equal(right[:, :, 4:], images[:, :, :4])
    np.testing.assert_array_equal(down[:, 4:], images[:, :4])
    assert not right[:, :, :4].any()
    assert not down[:, :4].any()


def test_harder_severities_are_harder(data: Data) -> None:
    model = LogisticRegression(max_iter=200).fit(data.train.x, data.train.y)
    clean = model.score(data.test.x, data.test.y)
    assert clean > 0.93
    for shift in Digits.shifts:
        scores = [model.score(data.shifted[shift, s].x, data.test.y) for s in (1, 2, 3)]
        assert clean > scores[0] > scores[1] > scores[2]
