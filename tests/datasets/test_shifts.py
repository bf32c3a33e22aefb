from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distillation_bench.datasets.image_files.torchvision_import import torchvision_datasets
from distillation_bench.datasets.shifts import LEVELS, brighten, rotate, shifted, translate


def batch(height: int = 8, width: int = 8, channels: int = 2) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.random((3, channels, height, width), np.float32))


def moved(images: np.ndarray, right: int, down: int) -> np.ndarray:
    """Shift by whole pixels with padding and slicing."""
    height, width = images.shape[-2:]
    padded = np.pad(images, ((0, 0), (0, 0), (height, height), (width, width)))
    return padded[:, :, height - down : 2 * height - down, width - right : 2 * width - right]


@settings(max_examples=40, deadline=None)
@given(right=st.integers(-16, 16), down=st.integers(-8, 8))
def test_translations_equal_slicing(right: int, down: int) -> None:
    images = batch(8, 16)
    np.testing.assert_array_equal(
        translate(images, right, down).numpy(), moved(images.numpy(), right, down)
    )


@pytest.mark.parametrize("turns", [-1, 0, 1, 2, 3])
@pytest.mark.parametrize("side", [7, 8])
def test_quarter_turns_are_clockwise(turns: int, side: int) -> None:
    images = batch(side, side)
    expected = np.rot90(images.numpy(), -turns, axes=(2, 3))
    np.testing.assert_array_equal(rotate(images, 90 * turns).numpy(), expected)


def test_rotation_keeps_lengths_on_an_image_that_is_not_square() -> None:
    images = torch.zeros(1, 1, 9, 21)
    images[0, 0, 4, 13] = 1  # 3 pixels right of the centre
    assert rotate(images, 90)[0, 0, 7, 10] == 1  # 3 below it


@pytest.fixture(scope="module")
def torchvision_transforms() -> ModuleType:
    torchvision_datasets()
    return importlib.import_module("torchvision.transforms")


@pytest.mark.parametrize("size", [(8, 8), (28, 28), (32, 32), (33, 33), (9, 21)])
@pytest.mark.parametrize("severity", range(1, 6))
def test_shifts_equal_those_of_the_original_code(
    size: tuple[int, int], severity: int, torchvision_transforms: Any
) -> None:
    """Each pixel equals that of torchvision's transforms at the original levels."""
    height, width = size
    images = batch(height, width, 3)
    affine = torchvision_transforms.functional.affine
    degrees, part = 15.0 * severity, 0.1 * severity
    factor = (1.1, 1.2, 1.3, 1.4, 1.5)[severity - 1]
    expected = {
        "rotation": torchvision_transforms.RandomAffine((degrees, degrees), fill=0)(images),
        "horizontal-shift": affine(images, 0, (round(part * width), 0), 1.0, 0, fill=0),
        "vertical-shift": affine(images, 0, (0, round(part * height)), 1.0, 0, fill=0),
        "brightness": torchvision_transforms.ColorJitter((factor, factor))(images),
    }
    for shift, image in expected.items():
        assert torch.equal(shifted(images, shift, severity), image)


@pytest.mark.parametrize("size", [(15, 15), (16, 9)])
def test_rotations_equal_torchvisions(size: tuple[int, int], torchvision_transforms: Any) -> None:
    images = batch(*size)
    for degrees in range(-180, 181, 5):
        expected = torchvision_transforms.functional.affine(images, degrees, (0, 0), 1.0, 0, fill=0)
        assert torch.equal(rotate(images, degrees), expected)


def test_brightness_multiplies_and_clips() -> None:
    images = batch()
    expected = np.minimum(images.numpy() * np.float32(1.3), 1)
    np.testing.assert_allclose(brighten(images, 1.3).numpy(), expected, atol=1e-6)


def test_levels_equal_those_of_the_original_code() -> None:
    assert LEVELS["rotation"] == tuple(range(15, 76, 15))
    tenths = (0.1, 0.2, 0.3, 0.4, 0.5)
    assert LEVELS["horizontal-shift"] == LEVELS["vertical-shift"] == tenths
    assert LEVELS["brightness"] == tuple(round(1 + t, 1) for t in tenths)


@pytest.mark.parametrize("shift", LEVELS)
@pytest.mark.parametrize("severity", [1, 5])
def test_shifted_keeps_shape_dtype_and_range(shift: str, severity: int) -> None:
    images = batch(16, 16, 3)
    result = shifted(images, shift, severity)
    assert result.shape == images.shape
    assert 0 <= float(result.min()) <= float(result.max()) <= 1
    pixels = (images * 255).round().to(torch.uint8)
    rounded = shifted(pixels, shift, severity)
    assert rounded.dtype == torch.uint8
    exact = shifted(pixels.double() / 255, shift, severity) * 255
    assert float((rounded.double() - exact).abs().max()) < 0.5 + 1e-3


def test_shifted_uses_the_level_of_the_severity() -> None:
    images = batch()
    assert torch.equal(shifted(images, "rotation", 2), rotate(images, 30))
    assert torch.equal(shifted(images, "horizontal-shift", 5), translate(images, 4, 0))
    assert torch.equal(shifted(images, "vertical-shift", 5), translate(images, 0, 4))
    assert torch.equal(shifted(images, "brightness", 1), brighten(images, 1.1))


def test_unknown_shift_or_severity_is_refused() -> None:
    with pytest.raises(ValueError, match="no shift 'zoom'; known: rotation"):
        shifted(batch(), "zoom", 1)
    for severity in (0, 6):
        with pytest.raises(ValueError, match=f"1 to 5, not {severity}"):
            shifted(batch(), "rotation", severity)
