"""MNIST and datasets of the same format: grey images of 28 x 28 pixels, background 0."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from distillation_bench.datasets.base import OODGroup, Split
from distillation_bench.datasets.image_files.image_dataset import (
    SYNTHETIC,
    ImageDataset,
    SplitName,
    labelled,
)
from distillation_bench.datasets.image_files.read_errors import reading
from distillation_bench.datasets.image_files.torchvision_import import torchvision_datasets


def _idx(folder: str, train: str, test: str) -> tuple[str, ...]:
    """Return the files of images and labels of both splits, where torchvision stores them."""
    contents = ("images-idx3-ubyte", "labels-idx1-ubyte")
    return tuple(
        f"{folder}/raw/{split}-{content}" for split in (train, test) for content in contents
    )


class MNIST(ImageDataset):
    """70,000 handwritten digits: 54,000 train, 6,000 validate, 10,000 test.

    The recipe was chosen for this suite.
    """

    name = "mnist"
    summary = "handwritten digits, 28x28 grey, 54,000 training images"
    source = "LeCun, Bottou, Bengio & Haffner 1998"
    shape = (1, 28, 28)
    outputs = 10
    examples = 54_000
    network: ClassVar[Mapping[str, Any]] = {"family": "lenet"}
    recipe: ClassVar[Mapping[str, Any]] = {
        "epochs": 20,
        "batch_size": 256,
        "learning_rate": 0.001,
        "weight_decay": 1e-4,
        "student_weight_decay": 1e-7,
        "clip": 5.0,
    }
    defaults: ClassVar[Mapping[str, Any]] = {"temperature": 5.0, "a": 0.95, "b": 0.9}
    ood_groups: ClassVar[Mapping[str, OODGroup]] = {
        "emnist-letters": "near",
        "fashion-mnist": "far",
        "kmnist": "far",
        **SYNTHETIC,
    }
    torchvision = "MNIST"
    files = _idx("MNIST", "train", "t10k")
    mean = (0.1307,)
    std = (0.3081,)

    def identity(self) -> Any:
        """Return digests of the files, for which there are no published checksums."""
        files = [self.root / name for name in self.files]
        return None if self.missing() else [sha256(file.read_bytes()).hexdigest() for file in files]

    def read(self, split: SplitName) -> Split:
        images, labels = (self.root / name for name in _files_of(split, self.files))
        x, y = _array(images, "image"), _array(labels, "label")
        return labelled(x[:, None], y, type(self), images)


class FashionMNIST(MNIST):
    """70,000 pieces of clothing, split like MNIST."""

    name = "fashion-mnist"
    summary = "pieces of clothing, 28x28 grey, 54,000 training images"
    source = "Xiao, Rasul & Vollgraf 2017, arXiv 1708.07747"
    ood_groups: ClassVar[Mapping[str, OODGroup]] = {
        "mnist": "far",
        "kmnist": "far",
        "emnist-letters": "far",
        **SYNTHETIC,
    }
    torchvision = "FashionMNIST"
    files = _idx("FashionMNIST", "train", "t10k")
    mean = (0.2860,)
    std = (0.3530,)


class KMNIST(MNIST):
    """70,000 cursive Japanese characters of 10 kinds, split like MNIST."""

    name = "kmnist"
    summary = "cursive Japanese characters, 28x28 grey, 54,000 training images"
    source = "Clanuwat et al. 2018, arXiv 1812.01718"
    ood_groups: ClassVar[Mapping[str, OODGroup]] = {
        "mnist": "far",
        "fashion-mnist": "far",
        "emnist-letters": "far",
        **SYNTHETIC,
    }
    torchvision = "KMNIST"
    files = _idx("KMNIST", "train", "t10k")
    mean = (0.1918,)
    std = (0.3483,)


class EMNISTLetters(MNIST):
    """145,600 handwritten letters without regard to case: 112,320 train, 20,800 test.

    The images of the source are transposed and its classes begin at 1. Here letters are upright,
    and the class of "a" is 0.
    """

    name = "emnist-letters"
    summary = "handwritten letters, 28x28 grey, 112,320 training images"
    source = "Cohen, Afshar, Tapson & van Schaik 2017, arXiv 1702.05373"
    outputs = 26
    examples = 112_320
    ood_groups: ClassVar[Mapping[str, OODGroup]] = {
        "mnist": "near",
        "fashion-mnist": "far",
        "kmnist": "far",
        **SYNTHETIC,
    }
    torchvision = "EMNIST"
    downloads = ({"split": "letters"},)
    files = _idx("EMNIST", "emnist-letters-train", "emnist-letters-test")
    mean = (0.1722,)
    std = (0.3309,)

    def read(self, split: SplitName) -> Split:
        images, labels = (self.root / name for name in _files_of(split, self.files))
        x, y = _array(images, "image"), _array(labels, "label")
        return labelled(x.swapaxes(1, 2)[:, None], y - 1, type(self), images)


def _files_of(split: SplitName, files: tuple[str, ...]) -> tuple[str, ...]:
    """Return the files of images and labels of a split."""
    return files[:2] if split == "train" else files[2:]


def _array(file: Path, kind: str) -> np.ndarray:
    """Read images [N, H, W] uint8 or labels [N] int64 from an IDX file.

    This uses torchvision's readers, not its classes, which would prefer a `processed/*.pt` file.

    Args:
        file: the IDX file.
        kind: "image" or "label".
    """
    reader = getattr(torchvision_datasets().mnist, f"read_{kind}_file")
    with reading(file, f"a whole IDX file of {kind}s"):
        array: np.ndarray = reader(str(file)).numpy()
    return array
