from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial.distance import cdist  # type: ignore[import-untyped, unused-ignore]

from distillation_bench.datasets import DatasetArrays, Split, Stream
from distillation_bench.datasets.spiral import Spiral


@pytest.fixture(scope="module")
def data(streams: Callable[[int], Stream]) -> DatasetArrays:
    return Spiral().load(streams(0))


def turned_back(split: Split) -> np.ndarray:
    """Return points as complex numbers, each arm rotated onto the first one."""
    return (split.x[:, 0] + 1j * split.x[:, 1]) * np.exp(-2j * np.pi * split.y / 3)


def test_splits_have_their_sizes(data: DatasetArrays) -> None:
    assert (len(data.train), len(data.validation), len(data.test)) == (240, 30, 3000)
    assert np.bincount(data.test.y).tolist() == [1000, 1000, 1000]
    assert np.bincount(data.train.y).max() <= 100


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_every_point_is_on_its_arm_up_to_the_noise(data: DatasetArrays, split: str) -> None:
    t = np.linspace(0, 2 * np.pi, 2001)
    noise = turned_back(getattr(data, split))[:, None] - t * np.exp(1j * t)
    # The distance of the noise from [0, 1/2]^2, for the t that fits the point best.
    outside = np.maximum(np.abs(noise.real - 0.25), np.abs(noise.imag - 0.25)) - 0.25
    assert outside.min(1).max() < 0.02  # the grid of t moves by at most 6.4 * 0.0032


def test_points_are_uniform_over_the_square_of_t_and_noise_is_centred(data: DatasetArrays) -> None:
    points = turned_back(data.test) - (0.25 + 0.25j)  # less the mean noise
    share = np.abs(points) ** 2 / (2 * np.pi) ** 2
    # E|p|^2 is E t^2 plus the noise's variance, 2 * (1/2)^2 / 12.
    expected = 0.5 + 2 * 0.25 / 12 / (2 * np.pi) ** 2
    assert abs(share.mean() - expected) < 4 * share.std() / np.sqrt(len(share))
    counts = np.histogram(share, bins=4, range=(0.0, 1.0))[0] / len(share)
    np.testing.assert_allclose(counts, 0.25, atol=0.05)


def test_plane_is_uniform_and_clear_of_the_training_points(data: DatasetArrays) -> None:
    plane = data.ood["plane"]
    assert plane.shape == (2000, 2)
    assert np.abs(plane).max() <= 20
    assert cdist(plane.astype(np.float64), data.train.x.astype(np.float64)).min() > 2
    # The arms end within 7.1 of the origin: nothing is rejected farther out than 10.
    frame = np.abs(plane).max(1)
    frame = frame[frame > 10]
    expected = (20**2 - 15**2) / (20**2 - 10**2)
    error = np.sqrt(expected * (1 - expected) / len(frame))
    assert abs((frame > 15).mean() - expected) < 4 * error


def test_between_is_inside_the_disc_and_clear_of_the_training_points(data: DatasetArrays) -> None:
    between = data.ood["between"]
    assert between.shape == (2000, 2)
    assert np.hypot(*between.T).max() < 2 * np.pi
    points = data.train.x.astype(np.float64)
    assert cdist(between.astype(np.float64), points).min() > 0.8
    # Clear of the data that methods are tested on, too: nearly no test point is so far away.
    assert (cdist(data.test.x.astype(np.float64), points).min(1) < 0.8).mean() > 0.99
    # In every third of the disc, so between all arms.
    thirds = np.histogram(np.arctan2(*between.T), bins=3, range=(-np.pi, np.pi))[0]
    assert thirds.min() > 400


def test_the_canvas_is_a_grid_row_by_row(data: DatasetArrays) -> None:
    assert data.canvas is not None
    grid = data.canvas.x.reshape(100, 100, 2)
    axis = np.linspace(-20, 20, 100, dtype=np.float32)
    np.testing.assert_array_equal(grid[..., 0], np.broadcast_to(axis, (100, 100)))
    np.testing.assert_array_equal(grid[..., 1], np.broadcast_to(axis[:, None], (100, 100)))
    assert (data.canvas.y == -1).all()
