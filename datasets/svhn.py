"""Street View House Numbers: 32 x 32 digits in colour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

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


class SVHN(ImageDataset):
    """99,289 digits of house numbers: 65,932 train, 7,325 validate, 26,032 test.

    The split "extra" of the source is not used.
    """

    name = "svhn"
    summary = "digits of house numbers, 32x32 in colour, 65,932 training images"
    source = "Netzer et al. 2011; recipe of Ferianc & Rodrigues 2022, arXiv 2205.09526 (hydra_plus)"
    shape = (3, 32, 32)
    outputs = 10
    examples = 65_932
    network: ClassVar[Mapping[str, Any]] = {"family": "lenet"}
    recipe: ClassVar[Mapping[str, Any]] = {
        "epochs": 200,
        "batch_size": 256,
        "learning_rate": 0.001,
        "weight_decay": 1e-4,
        "student_weight_decay": 1e-7,
        "clip": 5.0,
    }
    defaults: ClassVar[Mapping[str, Any]] = {"temperature": 5.0, "a": 0.95, "b": 0.9}
    ood_groups: ClassVar[Mapping[str, OODGroup]] = {
        "cifar10": "far",
        "cifar100": "far",
        "mnist": "far",
        **SYNTHETIC,
    }
    torchvision = "SVHN"
    downloads = ({"split": "train"}, {"split": "test"})
    files = ("train_32x32.mat", "test_32x32.mat")
    mean = (0.4377, 0.4438, 0.4728)
    std = (0.1980, 0.2010, 0.1970)

    def read(self, split: SplitName) -> Split:
        reader = torchvision_datasets().SVHN
        _, name, checksum = reader.split_list[split]
        file = self.root / name
        check_original(file, checksum)
        with reading(file, "a whole .mat file"):
            source = reader(self.root, split=split)
        return labelled(source.data, source.labels, type(self), file)
