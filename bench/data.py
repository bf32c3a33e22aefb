"""A dataset's arrays, made once per (dataset, data seed) and kept in the cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bench.cache import Cache
from bench.randomness import numpy_stream
from datasets import get
from datasets.base import Data, Split


@dataclass(frozen=True)
class EvaluationSet:
    """Inputs x [N, ...] that predictions are measured on.

    `name` is "test" or "ood:" with the set's name; targets y [N] are None for OOD sets; `shift` is
    empty and `severity` 0 for the test set as it is.
    """

    name: str
    x: Tensor
    y: Tensor | None = None
    shift: str = ""
    severity: int = 0

    @property
    def key(self) -> str:
        """One name among all sets of a dataset."""
        return f"{self.name}/{self.shift}/{self.severity}" if self.shift else self.name


@dataclass(frozen=True)
class Prepared:
    """What one cell or teacher reads: training and validation splits, evaluation sets."""

    train: tuple[Tensor, Tensor]
    validation: EvaluationSet
    sets: tuple[EvaluationSet, ...]

    @property
    def examples(self) -> int:
        """Number of training examples."""
        return len(self.train[0])


def prepare(cache: Cache, key: str, dataset: str, data_seed: int) -> None:
    """Load a dataset and put its arrays into the cache."""
    data = get(dataset)().load(lambda name: numpy_stream(data_seed, "data", dataset, name))
    cache.save(key, dict(_flatten(data)), {"dataset": dataset, "data_seed": data_seed})


def load(cache: Cache, key: str) -> Prepared:
    """The arrays as tensors.

    Raises:
        bench.cache.Damaged: the entry is missing or damaged.
    """
    arrays = {name: torch.from_numpy(array) for name, array in cache.load(key).items()}
    validation = EvaluationSet("validation", arrays["validation.x"], arrays["validation.y"])
    sets = tuple(sorted(_sets(arrays), key=lambda each: (each.name != "test", each.key)))
    return Prepared((arrays["train.x"], arrays["train.y"]), validation, sets)


def _flatten(data: Data) -> Iterator[tuple[str, np.ndarray]]:
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    splits |= {f"test/{shift}/{level}": split for (shift, level), split in data.shifted.items()}
    if data.canvas is not None:
        splits["canvas"] = data.canvas
    for name, split in splits.items():
        yield from _arrays(name, split)
    for name, x in data.ood.items():
        yield f"ood:{name}.x", x


def _arrays(name: str, split: Split) -> Iterator[tuple[str, np.ndarray]]:
    yield f"{name}.x", split.x
    yield f"{name}.y", split.y


def _sets(arrays: Mapping[str, Tensor]) -> Iterator[EvaluationSet]:
    for name, x in arrays.items():
        key = name.removesuffix(".x")
        if key == name or not key.startswith(("test", "ood:")):
            continue
        kind, shift, severity = key.split("/") if "/" in key else (key, "", "0")
        yield EvaluationSet(kind, x, arrays.get(f"{key}.y"), shift, int(severity))
