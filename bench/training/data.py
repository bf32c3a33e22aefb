"""A dataset's arrays as tensors: the splits, the evaluation sets, and how inputs are normalised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from distillation_bench.bench.planning.cache_keys import DataPlan
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.datasets import get
from distillation_bench.methods.base import InputRange


@dataclass(frozen=True)
class EvaluationSet:
    """Inputs on which predictions are measured.

    Attributes:
        name: "test", or "ood:" and the name of an OOD set.
        x: inputs [N, ...].
        y: targets [N]; None for OOD sets.
        shift: name of the shift; empty for the test set itself.
        severity: of the shift, from 1; 0 for the test set itself.
    """

    name: str
    x: Tensor
    y: Tensor | None = None
    shift: str = ""
    severity: int = 0

    @property
    def key(self) -> str:
        """A name that is unique among the evaluation sets of a dataset, as "test/rotation/3"."""
        return f"{self.name}/{self.shift}/{self.severity}" if self.shift else self.name


@dataclass(frozen=True)
class Scaling:
    """Normalisation of uint8 images [..., C, H, W].

    Attributes:
        mean, std: of each channel [C], of values in [0, 1].
    """

    mean: Tensor
    std: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        """Return (x / 255 − mean) / std as float32, with channels last in memory."""
        factor, offset = 1 / (255 * self.std), self.mean / self.std
        scaled = images.float() * factor[:, None, None] - offset[:, None, None]
        return _channels_last(scaled)

    def to(self, device: torch.device) -> Scaling:
        """Return the same normalisation with its statistics on a device."""
        return Scaling(self.mean.to(device), self.std.to(device))


def _channels_last(images: Tensor) -> Tensor:
    """Return the images [..., C, H, W] with the channels of a pixel adjacent in memory."""
    if images.shape[-3] == 1:
        # With one channel both layouts are the same memory; torch then reports the default layout
        # and chooses the slower convolution, unless the strides say channels last.
        images = images.contiguous()
        strides = (*images.stride()[:-3], 1, images.shape[-1], 1)
        return images.as_strided(images.shape, strides)
    return images.movedim(-3, -1).contiguous().movedim(-1, -3)


@dataclass(frozen=True)
class PreparedData:
    """The data of one cell or teacher.

    Attributes:
        train: inputs [N, ...] and targets [N] of the training split.
        validation: the validation split.
        sets: the evaluation sets, the test set first.
        scaling: of images; None if the inputs are not images.
        classes: number of classes; without meaning in regression.
        canvas: points at which figures show predictions; None if the dataset has none.
        device: where batches are needed.
    """

    train: tuple[Tensor, Tensor]
    validation: EvaluationSet
    sets: tuple[EvaluationSet, ...]
    scaling: Scaling | None = None
    classes: int = 0
    canvas: EvaluationSet | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def examples(self) -> int:
        """Number of training examples."""
        return len(self.train[0])

    @property
    def input_range(self) -> InputRange:
        """The range of the inputs of networks."""
        x = self.train[0]
        if self.scaling is None:
            return InputRange.of(x)
        black, white = torch.zeros_like(x[0]), torch.full_like(x[0], 255)
        return InputRange(self.scaling(black), self.scaling(white))

    def inputs(self, x: Tensor, device: torch.device | None = None) -> Tensor:
        """Return the inputs of networks for raw x [..., *shape]: float32, images normalised.

        Args:
            x: raw inputs.
            device: where the result is needed; by default the device of the batches.
        """
        x = x.to(device or self.device, non_blocking=True)
        return x if self.scaling is None else self.scaling.to(x.device)(x)

    def to(self, device: torch.device) -> PreparedData:
        """Return the data for training on a device.

        The training split is moved to a GPU if it takes less than half of the free memory;
        otherwise batches are moved one by one.
        """
        x, y = self.train
        if device.type == "cuda" and x.nbytes < torch.cuda.mem_get_info(device)[0] / 2:
            x, y = x.to(device), y.to(device)
        return replace(self, train=(x, y), device=device)

    def batch(self, indices: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Return raw training inputs and targets on the device of the batches.

        Args:
            indices: of examples; a tensor must be on the device of the training split.
        """
        x, y = self.train
        return x[indices].to(self.device), y[indices].to(self.device)


def load(cache: Cache, plan: DataPlan) -> PreparedData:
    """Load a dataset's arrays from the cache.

    Raises:
        DamagedEntry: an entry is missing or damaged.
    """
    splits, sets = cache.load(plan.splits_key), cache.load(plan.sets_key)
    canvas = None
    if "canvas.x" in sets:
        canvas = EvaluationSet("canvas", sets["canvas.x"], sets["canvas.y"])
    return PreparedData(
        train=(splits["train.x"], splits["train.y"]),
        validation=EvaluationSet("validation", splits["validation.x"], splits["validation.y"]),
        sets=tuple(sorted(_evaluation_sets(sets), key=lambda s: (s.name != "test", s.key))),
        scaling=Scaling(splits["mean"], splits["std"]) if "mean" in splits else None,
        classes=get(plan.dataset).outputs,
        canvas=canvas,
    )


def _evaluation_sets(arrays: Mapping[str, Tensor]) -> Iterator[EvaluationSet]:
    """Yield the test set, the shifted test sets and the OOD sets among named arrays."""
    for name, x in arrays.items():
        key = name.removesuffix(".x")
        if key == name or not key.startswith(("test", "ood:")):
            continue
        if key.startswith("ood:"):
            yield EvaluationSet(key, x)
            continue
        split, shift, severity = key.split("/") if "/" in key else (key, "", "0")
        yield EvaluationSet(split, x, arrays[f"{key}.y"], shift, int(severity))
