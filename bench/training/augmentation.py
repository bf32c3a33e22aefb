"""Views of images, whole batches at once on the device that trains.

Crop and flip act on uint8 images, mixup on normalised ones. All draws come from one stream of the
epoch, so that an epoch begun anew sees the same views.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor
from torch.nn import functional

from distillation_bench.bench.training.data import PreparedData

PADDING = 4
"""Zeros around an image before a crop of its old size, in pixels (He et al. 2016)."""
MIXUP = 0.4
"""α of mixup's Beta(α, α), within the 0.1 to 0.4 of Zhang et al. 2018."""


class Views:
    """What one epoch's steps see of their examples: augmented, then normalised.

    Args:
        names: augmentations; none: the examples as they are.
        data: whose training split is seen.
        stream: all their draws, on the device of the batches.
    """

    def __init__(self, names: Sequence[str], data: PreparedData, stream: Generator) -> None:
        self._names = names
        self._data = data
        self._stream = stream

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs [B, ...] and targets: classes [B] or, mixed, probabilities [B, C]."""
        if "crop" in self._names:
            x = crop(x, self._stream)
        if "flip" in self._names:
            x = flip(x, self._stream)
        x = self._data.inputs(x)
        if "mixup" in self._names:
            return mixup(x, y, self._data.classes, self._stream)
        return x, y


def crop(images: Tensor, stream: Generator) -> Tensor:
    """A random window of each padded image [B, C, H, W]."""
    count, _, height, width = images.shape
    padded = functional.pad(images, (PADDING,) * 4)
    places, device = 2 * PADDING + 1, images.device
    top, left = torch.randint(places, (2, count), generator=stream, device=device)
    # All windows as a view [B, C, 9, 9, H, W]; of each image one is copied.
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    chosen: Tensor = windows[torch.arange(count, device=device), :, top, left]
    return chosen


def flip(images: Tensor, stream: Generator) -> Tensor:
    """Each image [B, C, H, W] mirrored left to right with probability ½."""
    device = images.device
    mirrored = torch.rand(len(images), 1, 1, 1, generator=stream, device=device) < 0.5
    return torch.where(mirrored, images.flip(-1), images)


def mixup(x: Tensor, y: Tensor, classes: int, stream: Generator) -> tuple[Tensor, Tensor]:
    """λ x + (1 − λ) x' of pairs within the batch, and class probabilities [B, C] alike.

    Zhang et al. 2018 (arXiv 1710.09412), equation 2; one λ a batch.
    """
    share = _beta(stream, x.device)
    partner = torch.randperm(len(x), generator=stream, device=x.device)
    targets = functional.one_hot(y, classes).to(x.dtype)
    mixed = share * x + (1 - share) * x[partner]
    return mixed, share * targets + (1 - share) * targets[partner]


def _beta(stream: Generator, device: torch.device) -> Tensor:
    """A draw from Beta(α, α), by Jöhnk's method without its rejections: α below 1 only.

    Of many pairs (U^(1/α), V^(1/α)) the first whose sum is at most 1 gives U^(1/α) / sum.
    """
    u, v = torch.rand(2, 64, generator=stream, device=device).double().pow(1 / MIXUP)
    total = u + v
    # Gathered: an index would wait for the device.
    first = (total <= 1).int().argmax(0, keepdim=True)
    share: Tensor = u.gather(0, first) / total.gather(0, first)
    return share.float()
