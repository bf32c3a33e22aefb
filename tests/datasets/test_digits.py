from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.datasets import (  # type: ignore[import-untyped, unused-ignore]
    load_digits,
    load_sample_images,
)

from distillation_bench.bench.planning.recipe import Recipe
from distillation_bench.bench.training.data import EvaluationSet, PreparedData
from distillation_bench.bench.training.teacher import train_members
from distillation_bench.bench.training.training_inputs import TrainingInputs
from distillation_bench.datasets import DatasetArrays, Split, Stream
from distillation_bench.datasets.array_memo import ArrayMemo
from distillation_bench.datasets.digits import Digits, DigitsWithout89
from distillation_bench.methods.networks import network_builder
from distillation_bench.methods.tasks import TASKS

Streams = Callable[[int], Stream]


@pytest.fixture(scope="module")
def data(streams: Streams) -> DatasetArrays:
    return Digits().load(streams(0))


@pytest.fixture(scope="module")
def without(streams: Streams) -> DatasetArrays:
    return DigitsWithout89().load(streams(0))


def labelled_rows(x: np.ndarray, y: np.ndarray) -> set[tuple[bytes, int]]:
    return {(row.tobytes(), int(label)) for row, label in zip(x, y, strict=True)}


def test_splits_partition_the_source(data: DatasetArrays) -> None:
    x, y = load_digits(return_X_y=True)
    splits = (data.train, data.validation, data.test)
    assert sum(len(s) for s in splits) == 1797
    together = set[tuple[bytes, int]]().union(*(labelled_rows(s.x, s.y) for s in splits))
    assert together == labelled_rows((x / 16).astype(np.float32), y)


def test_splits_are_stratified(data: DatasetArrays) -> None:
    counts = np.array([np.bincount(s.y) for s in (data.train, data.validation, data.test)])
    shares = np.array([[0.5], [0.1], [0.4]])
    assert np.abs(counts - shares * counts.sum(0)).max() <= 1


def test_scikit_learn_is_imported_for_the_first_seed_alone(
    streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays: dict[str, np.ndarray] = {}

    def remembered(key: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        if key not in arrays:
            arrays[key] = make()
        return arrays[key]

    monkeypatch.setattr(ArrayMemo, "load_or_make", staticmethod(remembered))
    first = Digits().load(streams(0))
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    second = Digits().load(streams(1))
    assert len(arrays) == 2
    assert sorted(second.ood) == sorted(first.ood)
    assert not np.array_equal(second.train.x, first.train.x)


def test_pixels_are_in_the_unit_interval(data: DatasetArrays) -> None:
    for x in (data.train.x, data.ood["patches"], *(s.x for s in data.shifted.values())):
        assert x.min() >= 0
        assert x.max() <= 1
    assert data.train.x.max() == 1


def test_digits_without_89_are_a_subset_of_all_digits(
    data: DatasetArrays, without: DatasetArrays
) -> None:
    for name in ("train", "validation", "test"):
        full, part = getattr(data, name), getattr(without, name)
        np.testing.assert_array_equal(part.x, full.x[full.y < 8])
        np.testing.assert_array_equal(part.y, full.y[full.y < 8])


def test_the_near_set_has_every_8_and_9(without: DatasetArrays) -> None:
    x, y = load_digits(return_X_y=True)
    np.testing.assert_array_equal(without.ood["digits-8-9"], x[y >= 8] / 16)
    assert DigitsWithout89.ood_groups == {"digits-8-9": "near", "patches": "far"}


def test_patches_are_cut_from_the_two_photographs(data: DatasetArrays) -> None:
    patches = data.ood["patches"]
    assert patches.shape == (1000, 64)
    for half, photograph in zip(np.split(patches, 2), load_sample_images().images, strict=True):
        red, green, blue = np.moveaxis(photograph / 255.0, -1, 0)
        grey = 0.299 * red + 0.587 * green + 0.114 * blue
        windows = np.lib.stride_tricks.sliding_window_view(grey, (8, 8))
        for patch in half[:5].reshape(-1, 8, 8):
            positions = np.argwhere(np.isclose(windows[..., 0, 0], patch[0, 0], atol=1e-6))
            assert any(np.allclose(windows[i, j], patch, atol=1e-6) for i, j in positions)


def test_shifts_move_the_test_images_by_quarters_of_a_pixel(data: DatasetArrays) -> None:
    images = data.test.x.reshape(-1, 8, 8)
    beside = np.pad(images, ((0, 0), (2, 0), (2, 0)))
    for severity, (near, part) in enumerate(((0, 0.25), (0, 0.5), (0, 0.75), (1, 0), (1, 0.25)), 1):
        right = [beside[:, 2:, 2 - step : 10 - step] for step in (near, near + 1)]
        down = [beside[:, 2 - step : 10 - step, 2:] for step in (near, near + 1)]
        for shift, (lower, upper) in (
            ("horizontal-shift", right),
            ("vertical-shift", down),
        ):
            shifted = data.shifted[shift, severity].x.reshape(-1, 8, 8)
            np.testing.assert_allclose(shifted, (1 - part) * lower + part * upper, atol=1e-6)


def test_digits_stay_in_the_frame(data: DatasetArrays) -> None:
    ink = data.test.x.sum()
    for (shift, _), split in data.shifted.items():
        # A rotated digit may cover more pixels than before.
        assert abs(1 - split.x.sum() / ink) < (0.1 if shift == "rotation" else 1 / 6)


def test_a_teachers_accuracy_falls_with_severity(data: DatasetArrays) -> None:
    networks = network_builder(Digits.network, Digits.shape, Digits.outputs)
    recipe = Recipe.model_validate({**Digits.recipe, "epochs": 20})
    x, y = torch.from_numpy(data.train.x), torch.from_numpy(data.train.y)
    prepared = PreparedData((x, y), EvaluationSet("validation", x, y), ())
    inputs = TrainingInputs(data=prepared, recipe=recipe, seed=0, dataset="digits")
    teacher, _ = train_members(range(3), TASKS["classification"], networks, inputs)

    def accuracy(split: Split) -> float:
        with torch.no_grad():
            probabilities = teacher(torch.from_numpy(split.x)).softmax(-1).mean(0)
        return float((probabilities.argmax(-1).numpy() == split.y).mean())

    clean = accuracy(data.test)
    assert clean > 0.95
    for shift in Digits.shifts:
        scores = [clean, *(accuracy(data.shifted[shift, severity]) for severity in range(1, 6))]
        assert all(better > worse for better, worse in pairwise(scores)), (shift, scores)
        # Above chance, where severity still has an effect.
        assert scores[-1] > 0.2
