"""Datasets by name. Importing this package loads neither torch nor any reader of data."""

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

DATASETS: dict[str, type[Dataset]] = {}

D = TypeVar("D", bound=type[Dataset])


def register(cls: D) -> D:
    """Make a dataset known by its name; usable as a decorator.

    A class that is defined again (a module reloaded) replaces itself; any other class of a name
    that is taken is refused with a ValueError, as is a name that can't be printed.
    """
    if not cls.name or not cls.name.isprintable():
        raise ValueError(f"dataset {cls.name!r}: a name can be printed")
    known = DATASETS.get(cls.name)
    if known is not None and _origin(known) != _origin(cls):
        raise ValueError(
            f"dataset name {cls.name!r} of {_origin(cls)} is taken by {_origin(known)}"
        )
    DATASETS[cls.name] = cls
    return cls


def get(name: str) -> type[Dataset]:
    """The dataset class of this name, or of a spec folder:PATH[size=32,colour=rgb].

    Raises:
        UnknownDataset: there is none; the message gives the nearest name, or says what of the spec
            is wrong.
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
    """All names, built-in datasets first, in order of registration."""
    return tuple(DATASETS)


def _origin(cls: type[Dataset]) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


for _cls in (
    *(Spiral, Sine, SineGap, Digits, DigitsWithout89),
    *(MNIST, FashionMNIST, KMNIST, EMNISTLetters),
    *(CIFAR10, CIFAR100, SVHN),
):
    register(_cls)
