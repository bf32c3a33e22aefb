from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from distillation_bench.datasets import DatasetArrays, Split, Stream
from distillation_bench.datasets.sine import Sine, SineGap


@pytest.fixture(scope="module")
def data(streams: Callable[[int], Stream]) -> DatasetArrays:
    return Sine().load(streams(0))


def residuals(split: Split) -> np.ndarray:
    x = split.x[:, 0].astype(np.float64)
    return np.asarray(split.y - np.sin(x) - np.polyval([0.01, 0.1, -0.1, 0.0], x))


def test_sizes_and_ranges(data: DatasetArrays) -> None:
    for split, size in ((data.train, 240), (data.validation, 30), (data.test, 1000)):
        assert split.x.shape == (size, 1)
        assert split.y.shape == (size,)
        assert np.abs(split.x).max() <= 6


def test_inputs_are_uniform(data: DatasetArrays) -> None:
    counts = np.histogram(data.test.x, bins=4, range=(-6, 6))[0]
    assert np.abs(counts - 250).max() < 4 * np.sqrt(1000 * 0.25 * 0.75)


@pytest.mark.parametrize(("split", "size"), [("train", 240), ("test", 1000)])
def test_noise_is_standard(data: DatasetArrays, split: str, size: int) -> None:
    noise = residuals(getattr(data, split))
    assert abs(noise.mean()) < 4 / np.sqrt(size)
    assert abs(noise.var(ddof=1) - 1) < 4 * np.sqrt(2 / (size - 1))


def test_outside_points_are_on_both_sides_of_the_training_range(data: DatasetArrays) -> None:
    x = data.ood["outside"]
    assert x.shape == (1000, 1)
    assert np.abs(x).min() > 6
    assert np.abs(x).max() <= 12
    assert abs((x > 0).mean() - 0.5) < 4 * 0.5 / np.sqrt(1000)
    assert abs(np.abs(x).mean() - 9) < 4 * (6 / np.sqrt(12)) / np.sqrt(1000)


def test_canvas_is_the_curve_without_noise(data: DatasetArrays) -> None:
    assert data.canvas is not None
    np.testing.assert_array_equal(
        data.canvas.x[:, 0], np.linspace(-12, 12, 1000).astype(np.float32)
    )
    np.testing.assert_allclose(residuals(data.canvas), 0, atol=1e-5)


def test_the_gap_is_in_no_split_and_is_the_ood_set(
    streams: Callable[[int], Stream],
) -> None:
    gapped = SineGap().load(streams(0))
    for split, size in ((gapped.train, 240), (gapped.validation, 30), (gapped.test, 1000)):
        distances = np.abs(split.x)
        assert split.x.shape == (size, 1)
        assert distances.min() >= 2
        assert distances.max() <= 6
        assert np.abs(residuals(split)).max() < 5
    counts = np.histogram(gapped.test.x, bins=(-6, -4, -2, 2, 4, 6))[0]
    assert np.abs(counts - [250, 250, 0, 250, 250]).max() < 4 * np.sqrt(1000 * 0.25 * 0.75)
    assert list(gapped.ood) == ["gap"]
    gap = gapped.ood["gap"]
    assert gap.shape == (1000, 1)
    assert np.abs(gap).max() < 2
    assert np.histogram(gap, bins=4, range=(-2, 2))[0].min() > 250 - 4 * np.sqrt(1000 * 0.1875)
