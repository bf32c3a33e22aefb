"""Datasets by name. Importing this package imports neither torch nor torchvision.

Everything that a dataset needs can be imported from here:

    Dataset, register       the base class of a dataset, and the decorator that adds one
    DatasetArrays, Split    what `Dataset.load` returns, and one split of it
    Stream                  a named random stream, from which `load` draws
    Task, OODGroup          types of the attributes `task` and `ood_groups`
    BadData, UnknownDataset errors about files, and about names
    DATASETS, get, names    all datasets by name, one of them, and their names
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TypeVar

from distillation_bench.datasets.base import (
    BadData,
    Dataset,
    DatasetArrays,
    OODGroup,
    Split,
    Stream,
    Task,
    UnknownDataset,
)
from distillation_bench.datasets.cifar import CIFAR10, CIFAR100
from distillation_bench.datasets.digits import Digits, DigitsWithout89
from distillation_bench.datasets.folder import folder_dataset
from distillation_bench.datasets.mnist import KMNIST, MNIST, EMNISTLetters, FashionMNIST
from distillation_bench.datasets.sine import Sine, SineGap
from distillation_bench.datasets.spiral import Spiral
from distillation_bench.datasets.svhn import SVHN

__all__ = [
    "DATASETS",
    "BadData",
    "Dataset",
    "DatasetArrays",
    "OODGroup",
    "Split",
    "Stream",
    "Task",
    "UnknownDataset",
    "get",
    "names",
    "register",
]

BUILT_IN: tuple[type[Dataset], ...] = (
    *(Spiral, Sine, SineGap, Digits, DigitsWithout89),
    *(MNIST, FashionMNIST, KMNIST, EMNISTLetters),
    *(CIFAR10, CIFAR100, SVHN),
)
"""The datasets of this suite, except those of folders."""
DATASETS: dict[str, type[Dataset]] = {}
"""All datasets by name, in the order of registration."""

AnyDataset = TypeVar("AnyDataset", bound=type[Dataset])


def register(cls: AnyDataset) -> AnyDataset:
    """Add a dataset to the registry; usable as a decorator.

    A class that is defined again, because its module was reloaded, replaces itself.

    Raises:
        ValueError: another class has the name, or the name is empty or not printable.
    """
    if not cls.name or not cls.name.isprintable():
        raise ValueError(f"dataset {cls.name!r}: a name can be printed")
    registered = DATASETS.get(cls.name)
    if registered is not None and _origin(registered) != _origin(cls):
        raise ValueError(
            f"dataset name {cls.name!r} of {_origin(cls)} is taken by {_origin(registered)}"
        )
    DATASETS[cls.name] = cls
    return cls


def get(name: str) -> type[Dataset]:
    """Return the dataset class of a name, or of a spec folder:PATH[size=32,colour=rgb].

    Raises:
        UnknownDataset: there is no such dataset or folder, or the spec is wrong; the message gives
            the nearest name or the reason.
        BadData: the folder's layout is wrong.
    """
    if name.startswith("folder:"):
        return folder_dataset(name)
    if name not in DATASETS:
        nearest = get_close_matches(name, DATASETS, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ";"
        raise UnknownDataset(f"no dataset {name!r}{hint} known: {', '.join(names())}, folder:PATH")
    return DATASETS[name]


def names() -> tuple[str, ...]:
    """Return all names in the order of registration, built-in datasets first."""
    return tuple(DATASETS)


def _origin(cls: type[Dataset]) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


for _cls in BUILT_IN:
    register(_cls)
