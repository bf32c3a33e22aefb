"""The base class of datasets whose images are in files."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from distillation_bench.datasets.base import (
    BadData,
    Dataset,
    DatasetArrays,
    OODGroup,
    Split,
    Stream,
)
from distillation_bench.datasets.image_files.read_errors import fetching
from distillation_bench.datasets.image_files.torchvision_import import torchvision_datasets
from distillation_bench.datasets.stratified_sampling import stratified_rows

SplitName = Literal["train", "test"]
"""The splits that a source has; validation is held out from train."""

SYNTHETIC: Mapping[str, OODGroup] = {
    "uniform-noise": "far",
    "gaussian-noise": "far",
    "pixel-permutation": "far",
}
"""OOD sets that need no files, with their group."""


class ImageDataset(Dataset, unfinished=True):
    """Classification of images; a tenth of the training images is held out for validation.

    A subclass names the files that it needs, and reads a split.

    Attributes:
        files: that the dataset needs, relative to the root.
        mean, std: of each channel, as values in [0, 1].
    """

    task = "classification"
    shifts = ("rotation", "horizontal-shift", "vertical-shift", "brightness")
    files: ClassVar[tuple[str, ...]]
    torchvision: ClassVar[str] = ""
    """The torchvision class that downloads the files; empty if they can't be downloaded."""
    downloads: ClassVar[Sequence[Mapping[str, Any]]] = ({},)
    """The arguments of each call of that class, besides the root."""
    mean: ClassVar[tuple[float, ...]]
    std: ClassVar[tuple[float, ...]]

    @abstractmethod
    def read(self, split: SplitName) -> Split:
        """Return all images of a split [N, C, H, W] uint8, in the order of the source.

        Raises:
            BadData: a file is broken.
        """

    def missing(self) -> str:
        absent = [name for name in self.files if not (self.root / name).is_file()]
        return f"no {absent[0]} in {self.root}" if absent else ""

    def download(self) -> None:
        if not self.torchvision:
            super().download()
        with fetching(self.name, self.root):
            for options in self.downloads:
                source = getattr(torchvision_datasets(), self.torchvision)
                source(self.root, download=True, **options)

    def load(self, stream: Stream) -> DatasetArrays:
        train, validation = held_out(self.read("train"), stream("split"))
        return DatasetArrays(
            train=train,
            validation=validation,
            test=self.read("test"),
            shifted={},
            ood={},
            canvas=None,
            mean=self.mean,
            std=self.std,
        )

    def test_inputs(self, stream: Stream) -> np.ndarray:
        return self.read("test").x


def held_out(split: Split, rng: np.random.Generator) -> tuple[Split, Split]:
    """Split training images into a training and a validation split.

    `held_out_count` images validate, chosen at random and stratified; the only image of a class
    stays in training. Both splits keep the order of the images.
    """
    counts = np.unique(split.y, return_counts=True)[1]
    train = stratified_rows(split.y, len(split) - held_out_count(counts.tolist()), rng)
    return _rows(split, train), _rows(split, np.setdiff1d(np.arange(len(split)), train))


def held_out_count(counts: Sequence[int]) -> int:
    """Return how many images validate: a tenth, rounded down, but leaving one of each class.

    Args:
        counts: images of each class.
    """
    return min(sum(counts) // 10, sum(counts) - len(counts))


def _rows(split: Split, rows: np.ndarray) -> Split:
    return Split(split.x[rows], split.y[rows])


def labelled(x: np.ndarray, y: np.ndarray, dataset: type[Dataset], file: Path) -> Split:
    """Return images and labels as a split, after a check.

    Args:
        x: images [N, *shape].
        y: labels [N].
        dataset: whose shape and classes are expected.
        file: named in the message.

    Raises:
        BadData: the images are not uint8 of the dataset's shape, their number is not that of the
            labels, or a label is not a class.
    """
    if x.dtype != np.uint8 or x.shape[1:] != dataset.shape:
        raise BadData(f"{file}: images {x.dtype} {x.shape[1:]}, not uint8 {dataset.shape}")
    if y.shape != x.shape[:1] or not len(y):
        raise BadData(f"{file}: {y.size} labels for {len(x)} images")
    if y.min() < 0 or y.max() >= dataset.outputs:
        raise BadData(f"{file}: labels {y.min()} to {y.max()}, not 0 to {dataset.outputs - 1}")
    return Split(np.ascontiguousarray(x), np.ascontiguousarray(y, np.int64))
