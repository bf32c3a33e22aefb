"""Augmentation of images, a whole batch at once, on the device that trains.

Crop and flip act on uint8 images, mixup on normalised ones. All random numbers of an epoch come
from one stream, so that an epoch that is started again sees the same images.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor
from torch.nn import functional

from distillation_bench.bench.training.data import PreparedData

PADDING = 4
"""Pixels of zeros around an image before it is cropped to its old size (He et al. 2016)."""
MIXUP_ALPHA = 0.4
"""α of mixup's Beta(α, α), within the 0.1 to 0.4 of Zhang et al. 2018."""


class Augmentation:
    """Augments and normalises the batches of one epoch.

    Args:
        names: of "crop", "flip" and "mixup"; if empty, batches are normalised only.
        data: the training split.
        stream: for all random numbers, on the device of the batches.
    """

    def __init__(self, names: Sequence[str], data: PreparedData, stream: Generator) -> None:
        self._names = names
        self._data = data
        self._stream = stream

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the inputs of networks [B, ...] and their targets.

        Args:
            x: raw inputs [B, ...].
            y: targets [B].

        Returns:
            Inputs [B, ...], and targets [B] or, with mixup, class probabilities [B, C].
        """
        if "crop" in self._names:
            x = crop(x, self._stream)
        if "flip" in self._names:
            x = flip(x, self._stream)
        x = self._data.inputs(x)
        if "mixup" in self._names:
            return mixup(x, y, self._data.classes, self._stream)
        return x, y


def crop(images: Tensor, stream: Generator) -> Tensor:
    """Return a random window of each padded image, of the size of the images [B, C, H, W]."""
    count, _, height, width = images.shape
    padded = functional.pad(images, (PADDING,) * 4)
    offsets, device = 2 * PADDING + 1, images.device
    top, left = torch.randint(offsets, (2, count), generator=stream, device=device)
    # All windows, as a view [B, C, 9, 9, H, W]; one of each image is copied.
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    cropped: Tensor = windows[torch.arange(count, device=device), :, top, left]
    return cropped


def flip(images: Tensor, stream: Generator) -> Tensor:
    """Mirror each image [B, C, H, W] left to right with probability ½."""
    device = images.device
    mirrored = torch.rand(len(images), 1, 1, 1, generator=stream, device=device) < 0.5
    return torch.where(mirrored, images.flip(-1), images)


def mixup(x: Tensor, y: Tensor, classes: int, stream: Generator) -> tuple[Tensor, Tensor]:
    """Return λ x + (1 − λ) x' for pairs within the batch, and their class probabilities.

    Zhang et al. 2018 (arXiv 1710.09412), equation 2, with one λ for the whole batch.

    Args:
        x: normalised images [B, ...].
        y: classes [B].
        classes: C.
        stream: for the pairs and λ.

    Returns:
        Images [B, ...] and class probabilities [B, C].
    """
    share = _beta(stream, x.device)
    partner = torch.randperm(len(x), generator=stream, device=x.device)
    targets = functional.one_hot(y, classes).to(x.dtype)
    mixed = share * x + (1 - share) * x[partner]
    return mixed, share * targets + (1 - share) * targets[partner]


def _beta(stream: Generator, device: torch.device) -> Tensor:
    """Draw from Beta(α, α), α < 1, by Jöhnk's method without its loop of rejections.

    Of 64 pairs (U^(1/α), V^(1/α)) the first whose sum is at most 1 gives U^(1/α) / sum.
    """
    u, v = torch.rand(2, 64, generator=stream, device=device).double().pow(1 / MIXUP_ALPHA)
    total = u + v
    # `gather`, because indexing by a tensor would synchronise with the device.
    first = (total <= 1).int().argmax(0, keepdim=True)
    share: Tensor = u.gather(0, first) / total.gather(0, first)
    return share.float()
