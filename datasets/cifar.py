"""CIFAR-10 and CIFAR-100: 32 x 32 photographs in colour."""

from __future__ import annotations

from collections.abc import Mapping
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
from distillation_bench.datasets.image_files.torchvision_import import (
    check_original,
    torchvision_datasets,
)


class CIFAR10(ImageDataset):
    """60,000 photographs of 10 kinds: 45,000 train, 5,000 validate, 10,000 test.

    The files are pickles, which could run code. They are opened only if the checksum of every file
    is the one that torchvision lists.
    """

    name = "cifar10"
    summary = "photographs of 10 kinds, 32x32 in colour, 45,000 training images"
    source = "Krizhevsky 2009; recipe of Ferianc & Rodrigues 2022, arXiv 2205.09526 (hydra_plus)"
    shape = (3, 32, 32)
    outputs = 10
    examples = 45_000
    network: ClassVar[Mapping[str, Any]] = {"family": "resnet"}
    recipe: ClassVar[Mapping[str, Any]] = {
        "epochs": 200,
        "batch_size": 256,
        "learning_rate": 0.01,
        "weight_decay": 1e-4,
        "student_weight_decay": 1e-7,
        "clip": 5.0,
    }
    defaults: ClassVar[Mapping[str, Any]] = {"temperature": 8.0, "a": 0.95, "b": 0.5}
    ood_groups: ClassVar[Mapping[str, OODGroup]] = {
        "cifar100": "near",
        "svhn": "far",
        "mnist": "far",
        **SYNTHETIC,
    }
    torchvision = "CIFAR10"
    files = (
        *(f"cifar-10-batches-py/data_batch_{number}" for number in range(1, 6)),
        "cifar-10-batches-py/test_batch",
        "cifar-10-batches-py/batches.meta",
    )
    mean = (0.4914, 0.4822, 0.4465)
    std = (0.2023, 0.1994, 0.2010)

    def read(self, split: SplitName) -> Split:
        return _read(self, getattr(torchvision_datasets(), self.torchvision), split)


class CIFAR100(CIFAR10):
    """60,000 photographs of 100 kinds, the fine classes; splits and recipe are as for CIFAR-10."""

    name = "cifar100"
    summary = "photographs of 100 kinds, 32x32 in colour, 45,000 training images"
    source = "Krizhevsky 2009"
    outputs = 100
    ood_groups: ClassVar[Mapping[str, OODGroup]] = {
        "cifar10": "near",
        "svhn": "far",
        "mnist": "far",
        **SYNTHETIC,
    }
    torchvision = "CIFAR100"
    files = tuple(f"cifar-100-python/{name}" for name in ("train", "test", "meta"))
    mean = (0.5071, 0.4865, 0.4409)
    std = (0.2673, 0.2564, 0.2762)


def _read(dataset: CIFAR10, reader: Any, split: SplitName) -> Split:
    """Read a split with a class of torchvision, after the checksums of all files were compared."""
    folder = dataset.root / reader.base_folder
    meta = (reader.meta["filename"], reader.meta["md5"])
    for name, checksum in (*reader.train_list, *reader.test_list, meta):
        check_original(folder / name, checksum)
    with reading(folder, "whole"):
        source = reader(dataset.root, train=split == "train")
        x, y = source.data.transpose(0, 3, 1, 2), np.array(source.targets)
    return labelled(x, y, type(dataset), folder)
