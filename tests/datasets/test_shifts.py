from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets import shifts
from datasets.shifts import LEVELS, brighten, rotate, shifted, translate


def batch(height: int = 8, width: int = 8, channels: int = 2) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.random((3, channels, height, width), np.float32))


def moved(images: np.ndarray, right: int, down: int) -> np.ndarray:
    """Whole pixels, by padding with zeros and slicing."""
    height, width = images.shape[-2:]
    padded = np.pad(images, ((0, 0), (0, 0), (height, height), (width, width)))
    return padded[:, :, height - down : 2 * height - down, width - right : 2 * width - right]


@settings(max_examples=40, deadline=None)
@given(right=st.integers(-16, 16), down=st.integers(-8, 8))
def test_whole_pixels_equal_slicing_exactly(right: int, down: int) -> None:
    images = batch(8, 16)
    np.testing.assert_array_equal(
        translate(images, right / 16, down / 8).numpy(), moved(images.numpy(), right, down)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_whole_pixels_on_a_side_that_is_no_power_of_two(dtype: torch.dtype) -> None:
    images = batch(28, 20).to(dtype)
    result = translate(images, 3 / 20, 5 / 28)
    assert result.dtype == dtype
    np.testing.assert_allclose(result.numpy(), moved(images.numpy(), 3, 5), atol=1e-5)


def test_half_a_pixel_is_the_mean_of_neighbours() -> None:
    images = batch()
    expected = (images.numpy() + moved(images.numpy(), 1, 0)) / 2
    np.testing.assert_allclose(translate(images, 0.5 / 8, 0).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("turns", [-1, 0, 1, 2, 3])
@pytest.mark.parametrize("side", [7, 8])
def test_quarter_turns_equal_rot90(turns: int, side: int) -> None:
    images = batch(side, side)
    expected = np.rot90(images.numpy(), turns, axes=(2, 3))
    np.testing.assert_allclose(rotate(images, 90 * turns).numpy(), expected, atol=1e-5)


def test_rotation_keeps_lengths_on_an_image_that_is_not_square() -> None:
    images = torch.zeros(1, 1, 9, 21)
    images[0, 0, 4, 13] = 1  # 3 pixels right of the centre
    assert rotate(images, 90)[0, 0, 1, 10] == pytest.approx(1, abs=1e-5)  # 3 above it


def test_rotation_by_45_degrees_against_bilinear_by_hand() -> None:
    image = batch(5, 5, 1)[:1]
    # The pixel right of the centre reads, clockwise from itself, (0.7071 right, 0.7071 down).
    part = np.sqrt(0.5)
    corners = image[0, 0, 2:4, 2:4].numpy()
    weights = np.outer((1 - part, part), (1 - part, part))
    assert rotate(image, 45)[0, 0, 2, 3] == pytest.approx((weights * corners).sum(), abs=1e-5)


def test_brightness_multiplies_and_clips() -> None:
    images = batch()
    expected = np.minimum(images.numpy() * np.float32(1.3), 1)
    np.testing.assert_allclose(brighten(images, 1.3).numpy(), expected, atol=1e-6)


def test_levels_are_the_seed_systems() -> None:
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
    whole = (images * 255).round().to(torch.uint8)
    rounded = shifted(whole, shift, severity)
    assert rounded.dtype == torch.uint8
    exact = shifted(whole.double() / 255, shift, severity) * 255
    assert float((rounded.double() - exact).abs().max()) < 0.5 + 1e-3


@pytest.mark.parametrize("shift", LEVELS)
def test_chunks_do_not_show(shift: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    images = torch.from_numpy(rng.integers(256, size=(7, 3, 12, 12), dtype=np.uint8))
    at_once = shifted(images, shift, 4)
    monkeypatch.setattr(shifts, "CHUNK", 3)
    assert torch.equal(shifted(images, shift, 4), at_once)


def test_shifted_takes_the_level_of_the_severity() -> None:
    images = batch()
    assert torch.equal(shifted(images, "rotation", 2), rotate(images, 30).clamp(0, 1))
    assert torch.equal(shifted(images, "horizontal-shift", 5), translate(images, 0.5, 0))
    assert torch.equal(shifted(images, "vertical-shift", 5), translate(images, 0, 0.5))
    assert torch.equal(shifted(images, "brightness", 1), brighten(images, 1.1))


def test_unknown_shift_or_severity_is_refused() -> None:
    with pytest.raises(ValueError, match="no shift 'zoom'; known: rotation"):
        shifted(batch(), "zoom", 1)
    for severity in (0, 6):
        with pytest.raises(ValueError, match=f"1 to 5, not {severity}"):
            shifted(batch(), "rotation", severity)
