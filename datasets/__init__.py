"""Datasets by name. Importing this package loads neither torch nor scikit-learn."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TypeVar

from datasets.base import Data, Dataset, Group, Split, Stream, Task
from datasets.digits import Digits, DigitsWithout89
from datasets.sine import Sine
from datasets.spiral import Spiral

__all__ = [
    "DATASETS",
    "Data",
    "Dataset",
    "Group",
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


class UnknownDataset(KeyError):
    """No dataset has this name; the message gives the nearest right one and the list."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would show the quoted repr of its message


def register(cls: D) -> D:
    """Make a dataset known by its name; usable as a decorator.

    A class that is defined again (a module reloaded) replaces itself; any other class of a name
    that is taken is refused with a ValueError.
    """
    known = DATASETS.get(cls.name)
    if known is not None and _origin(known) != _origin(cls):
        raise ValueError(
            f"dataset name {cls.name!r} of {_origin(cls)} is taken by {_origin(known)}"
        )
    DATASETS[cls.name] = cls
    return cls


def get(name: str) -> type[Dataset]:
    """The dataset class of this name; UnknownDataset if there is none."""
    if name not in DATASETS:
        nearest = get_close_matches(name, DATASETS, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ";"
        raise UnknownDataset(f"no dataset {name!r}{hint} known: {', '.join(names())}")
    return DATASETS[name]


def names() -> tuple[str, ...]:
    """All names, built-in datasets first, in order of registration."""
    return tuple(DATASETS)


def _origin(cls: type[Dataset]) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


for _cls in (Spiral, Sine, Digits, DigitsWithout89):
    register(_cls)
