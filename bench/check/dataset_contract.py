"""The promises of a dataset."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from distillation_bench.bench.check.promises import Check, require
from distillation_bench.bench.common.paths import DATA_ROOT
from distillation_bench.bench.common.random_streams import numpy_stream, torch_stream
from distillation_bench.datasets.base import Dataset, DatasetArrays, Split
from distillation_bench.datasets.shifts import LEVELS
from distillation_bench.methods.networks import network_builder
from distillation_bench.methods.networks.options import describe


def dataset_checks(dataset: type[Dataset]) -> Iterator[Check]:
    """The promises of a dataset."""
    yield f"{dataset.name}: splits have inputs and targets of its task", lambda: _splits(dataset)
    yield f"{dataset.name}: OOD sets and shifts are those announced", lambda: _sets(dataset)
    yield f"{dataset.name}: one data seed gives the same arrays", lambda: _deterministic(dataset)
    yield f"{dataset.name}: its networks can be built", lambda: _buildable(dataset)


def _load(dataset: type[Dataset]) -> DatasetArrays:
    return dataset(DATA_ROOT).load(lambda name: numpy_stream(0, "data", dataset.name, name))


def _splits(dataset: type[Dataset]) -> None:
    data = _load(dataset)
    named = {"train": data.train, "validation": data.validation, "test": data.test}
    for name, split in named.items():
        _check_split(name, split, dataset)


def _check_split(name: str, split: Split, dataset: type[Dataset]) -> None:
    shape = split.x.shape[1:]
    require(len(split.x) > 0, f"{name} is empty")
    require(shape == dataset.shape, f"{name}: inputs are {shape}, not {dataset.shape}")
    expected = np.uint8 if dataset.images else np.float32
    require(split.x.dtype == expected, f"{name}: x is {split.x.dtype}, not {np.dtype(expected)}")
    require(bool(np.isfinite(split.x).all()), f"{name}: x is not finite")
    kind = np.int64 if dataset.task == "classification" else np.float32
    require(split.y.dtype == kind, f"{name}: y is {split.y.dtype}, not {np.dtype(kind)}")
    if dataset.task == "classification":
        inside = bool(((split.y >= 0) & (split.y < dataset.outputs)).all())
        require(inside, f"{name}: a class outside 0 to {dataset.outputs - 1}")


def _sets(dataset: type[Dataset]) -> None:
    data = _load(dataset)
    if dataset.images:
        unknown = set(dataset.shifts) - set(LEVELS)
        require(not unknown, f"no such shifts: {', '.join(sorted(unknown))}")
        require(data.mean is not None and data.std is not None, "mean and std are not given")
        return
    ood, shifts = set(data.ood), {shift for shift, _ in data.shifted}
    require(ood == set(dataset.ood_groups), f"OOD sets {ood}, announced {dataset.ood_groups}")
    require(shifts == set(dataset.shifts), f"shifts {shifts}, announced {dataset.shifts}")


def _deterministic(dataset: type[Dataset]) -> None:
    first, second = _load(dataset), _load(dataset)
    same = np.array_equal(first.train.x, second.train.x)
    same &= np.array_equal(first.test.x, second.test.x)
    same &= all(np.array_equal(x, second.ood[name]) for name, x in first.ood.items())
    require(bool(same), "loaded twice, the arrays differ; draw from the stream alone")


def _buildable(dataset: type[Dataset]) -> None:
    networks = network_builder(describe(dataset.network), dataset.shape, dataset.outputs)
    x = torch.zeros(2, *dataset.shape)
    shape = networks.members([torch_stream(0, m) for m in range(2)])(x).shape
    require(shape == (2, 2, dataset.outputs), f"outputs of two members are {list(shape)}")
