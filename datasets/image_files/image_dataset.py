"""What datasets of images that lie in files have in common."""

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

SYNTHETIC: Mapping[str, OODGroup] = {
    "uniform-noise": "far",
    "gaussian-noise": "far",
    "pixel-permutation": "far",
}
"""The OOD sets that can always be had."""


class ImageDataset(Dataset, unfinished=True):
    """Images with a class each: a tenth of the training part validates, stratified.

    A subclass names the files (relative to the root) that it needs, and reads a part.
    """

    task = "classification"
    shifts = ("rotation", "horizontal-shift", "vertical-shift", "brightness")
    files: ClassVar[tuple[str, ...]]
    torchvision: ClassVar[str] = ""
    """The torchvision class that fetches them; empty: they can't be fetched."""
    fetched: ClassVar[Sequence[Mapping[str, Any]]] = ({},)
    """What it is given, beside the root, each time that it is called."""
    mean: ClassVar[tuple[float, ...]]
    std: ClassVar[tuple[float, ...]]

    @abstractmethod
    def read(self, part: SplitName) -> Split:
        """All images of a part [N, C, H, W] uint8, in the order of the source.

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
            for options in self.fetched:
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
    """What is left to train on, and `held_out_count` at random; each in the given order.

    What is left is `stratified_rows`: a class of one image stays in training.
    """
    counts = np.unique(split.y, return_counts=True)[1]
    train = stratified_rows(split.y, len(split) - held_out_count(counts.tolist()), rng)
    return _rows(split, train), _rows(split, np.setdiff1d(np.arange(len(split)), train))


def held_out_count(counts: Sequence[int]) -> int:
    """How many images validate: a tenth (rounded down), but none of a class's last one."""
    return min(sum(counts) // 10, sum(counts) - len(counts))


def _rows(split: Split, rows: np.ndarray) -> Split:
    return Split(split.x[rows], split.y[rows])


def labelled(x: np.ndarray, y: np.ndarray, dataset: type[Dataset], file: Path) -> Split:
    """Images [N, *shape] and labels [N] as a split.

    Raises:
        BadData: what the file gave is not of the dataset's shape, or a label is no class.
    """
    if x.dtype != np.uint8 or x.shape[1:] != dataset.shape:
        raise BadData(f"{file}: images {x.dtype} {x.shape[1:]}, not uint8 {dataset.shape}")
    if y.shape != x.shape[:1] or not len(y):
        raise BadData(f"{file}: {y.size} labels for {len(x)} images")
    if y.min() < 0 or y.max() >= dataset.outputs:
        raise BadData(f"{file}: labels {y.min()} to {y.max()}, not 0 to {dataset.outputs - 1}")
    return Split(np.ascontiguousarray(x), np.ascontiguousarray(y, np.int64))
