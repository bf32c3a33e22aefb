"""Shifts of images: the four of the seed system, each at five severities.

Whole batches at once, [N, C, H, W] tensors with values in [0, 1], before any normalisation. This
module imports torch: a dataset imports it inside ``load``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch.nn.functional import grid_sample

LEVELS: Mapping[str, tuple[float, float, float, float, float]] = {
    "rotation": (15.0, 30.0, 45.0, 60.0, 75.0),  # degrees counter-clockwise
    "horizontal-shift": (0.1, 0.2, 0.3, 0.4, 0.5),  # of the width, to the right
    "vertical-shift": (0.1, 0.2, 0.3, 0.4, 0.5),  # of the height, downwards
    "brightness": (1.1, 1.2, 1.3, 1.4, 1.5),  # factor
}
"""Shift -> its level at severity 1..5."""

CHUNK = 128  # images at a time: as floats they stay in the processor's cache


def shifted(images: torch.Tensor, shift: str, severity: int) -> torch.Tensor:
    """The images under a shift of LEVELS at a severity 1..5, same shape and dtype.

    Floating images have values in [0, 1]; uint8 images are shifted as [0, 1] and rounded back.
    """
    if shift not in LEVELS:
        raise ValueError(f"no shift {shift!r}; known: {', '.join(LEVELS)}")
    if severity not in range(1, len(LEVELS[shift]) + 1):
        raise ValueError(f"severity of {shift} is 1 to {len(LEVELS[shift])}, not {severity}")
    level = LEVELS[shift][severity - 1]
    if images.dtype != torch.uint8:
        return _apply(images, shift, level)
    moved = torch.empty_like(images)
    for start in range(0, len(images), CHUNK):
        part = images[start : start + CHUNK].float() / 255
        moved[start : start + CHUNK] = _apply(part, shift, level).mul(255).round()
    return moved


def _apply(images: torch.Tensor, shift: str, level: float) -> torch.Tensor:
    match shift:
        case "rotation":
            moved = rotate(images, level)
        case "horizontal-shift":
            moved = translate(images, level, 0.0)
        case "vertical-shift":
            moved = translate(images, 0.0, level)
        case _:
            moved = brighten(images, level)
    return moved.clamp(0.0, 1.0)  # interpolation weights may sum to a rounding error above 1


def rotate(images: torch.Tensor, degrees: float) -> torch.Tensor:
    """Turned about the centre, counter-clockwise as seen; bilinear, empty corners are 0."""
    height, width = images.shape[-2:]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    # Coordinates run from -1 to 1 along each side: on an image that is not square, a length
    # along one side is another number along the other.
    return _resample(
        images,
        ((cos, -sin * height / width, 0.0), (sin * width / height, cos, 0.0)),
    )


def translate(images: torch.Tensor, dx: float, dy: float) -> torch.Tensor:
    """Moved right by dx widths and down by dy heights; bilinear, what is uncovered is 0."""
    return _resample(images, ((1.0, 0.0, -2.0 * dx), (0.0, 1.0, -2.0 * dy)))


def brighten(images: torch.Tensor, factor: float) -> torch.Tensor:
    """Multiplied by the factor and clipped to [0, 1]."""
    return (images * factor).clamp(0.0, 1.0)


Row = tuple[float, float, float]


def _resample(images: torch.Tensor, source: tuple[Row, Row]) -> torch.Tensor:
    """Every output pixel read where the affine map ``source`` of its (x, y, 1) points.

    The grid is affine_grid's with align_corners=False, made here in float64 because the original
    is off by a rounding error, which blurs even a shift by whole pixels.
    """
    x = _centres(images.shape[-1])[None, :]
    y = _centres(images.shape[-2])[:, None]
    grid = torch.stack([a * x + b * y + c for a, b, c in source], dim=-1)
    grid = grid.to(images).expand(len(images), -1, -1, -1)
    return grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _centres(pixels: int) -> torch.Tensor:
    """Pixel centres along a side that runs from -1 to 1, [pixels] float64."""
    return (2 * torch.arange(pixels, dtype=torch.float64) + 1) / pixels - 1
