"""Shifts of images: the four shifts of the original code, each at five severities.

They act on whole batches before normalisation: tensors [N, C, H, W], uint8 or floating with values
in [0, 1]. This module imports torch, so datasets import it inside `load`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch.nn.functional import grid_sample, pad

LEVELS: Mapping[str, tuple[float, float, float, float, float]] = {
    "rotation": (15.0, 30.0, 45.0, 60.0, 75.0),  # degrees clockwise
    "horizontal-shift": (0.1, 0.2, 0.3, 0.4, 0.5),  # of the width, to the right
    "vertical-shift": (0.1, 0.2, 0.3, 0.4, 0.5),  # of the height, downwards
    "brightness": (1.1, 1.2, 1.3, 1.4, 1.5),  # factor
}
"""The levels at severity 1 to 5, by shift."""


def shifted(images: torch.Tensor, shift: str, severity: int) -> torch.Tensor:
    """Apply a shift to images.

    Args:
        images: [N, C, H, W], uint8 or floating with values in [0, 1].
        shift: a key of `LEVELS`.
        severity: 1 to 5.

    Returns:
        Images of the same shape and type.

    Raises:
        ValueError: the shift is unknown, or it does not have this severity.
    """
    if shift not in LEVELS:
        raise ValueError(f"no shift {shift!r}; known: {', '.join(LEVELS)}")
    if severity not in range(1, len(LEVELS[shift]) + 1):
        raise ValueError(f"severity of {shift} is 1 to {len(LEVELS[shift])}, not {severity}")
    level = LEVELS[shift][severity - 1]
    height, width = images.shape[-2:]
    match shift:
        case "rotation":
            return rotate(images, level)
        case "horizontal-shift":
            return translate(images, round(level * width), 0)
        case "vertical-shift":
            return translate(images, 0, round(level * height))
        case _:
            return brighten(images, level)


def rotate(images: torch.Tensor, degrees: float) -> torch.Tensor:
    """Rotate clockwise about the centre, with nearest-neighbour sampling; 0 beyond the edge.

    The result equals torchvision's `affine` pixel for pixel.
    """
    height, width = images.shape[-2:]
    padded = pad(images.flatten(-2), (1, 0))  # pixel 0 stands for everything beyond the edge
    return padded.index_select(-1, _rotated(height, width, degrees)).view(images.shape)


def _rotated(height: int, width: int, degrees: float) -> torch.Tensor:
    """Return the source of each pixel of a rotated image, counted from 1; 0 beyond the edge.

    If two sources are equally near, rounding errors decide. So coordinates are computed as in
    torchvision: in float32, by this product, and rounded by `grid_sample`.
    """
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x = torch.linspace((1 - width) / 2, (width - 1) / 2, width).expand(height, width)
    y = torch.linspace((1 - height) / 2, (height - 1) / 2, height)[:, None].expand(height, width)
    points = torch.stack((x, y, torch.ones_like(x)), -1).view(1, -1, 3)
    turn = torch.tensor([[[cos, sin, 0.0], [-sin, cos, 0.0]]]).mT
    grid = points.bmm(turn / torch.tensor([width / 2, height / 2])).view(1, height, width, 2)
    # Rows and columns are sampled separately, because float32 holds each exactly.
    row, column = torch.meshgrid(
        torch.arange(1.0, height + 1), torch.arange(1.0, width + 1), indexing="ij"
    )
    sources = torch.stack((row, column))[None]
    row, column = grid_sample(sources, grid, "nearest", "zeros", align_corners=False)[0].long()
    return torch.where(row > 0, (row - 1) * width + column, 0).flatten()


def translate(images: torch.Tensor, right: int, down: int) -> torch.Tensor:
    """Move images by whole pixels to the right and downwards; uncovered pixels are 0."""
    return pad(images, (right, -right, down, -down))


def brighten(images: torch.Tensor, factor: float) -> torch.Tensor:
    """Multiply values by a factor and clip them; uint8 values are rounded."""
    if images.dtype != torch.uint8:
        return (images * factor).clamp(0.0, 1.0)
    bright = np.minimum(np.rint(np.arange(256) * factor), 255).astype(np.uint8)
    return torch.from_numpy(bright[images.numpy()])
