"""The checks of a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch

from distillation_bench.bench.check.checks import Check, require
from distillation_bench.bench.common.paths import DATA_ROOT
from distillation_bench.bench.common.random_streams import numpy_stream, torch_stream
from distillation_bench.datasets.base import Dataset, DatasetArrays, Split
from distillation_bench.datasets.shifts import LEVELS
from distillation_bench.methods.networks import network_builder
from distillation_bench.methods.networks.families import describe


def dataset_checks(dataset: type[Dataset]) -> Iterator[Check]:
    """Yield the checks of a dataset."""
    name = dataset.name
    yield f"{name}: splits have inputs and targets of its task", partial(_check_splits, dataset)
    yield f"{name}: OOD sets and shifts are those announced", partial(_check_sets, dataset)
    yield f"{name}: one data seed gives the same arrays", partial(_check_repeated, dataset)
    yield f"{name}: its networks can be built", partial(_check_networks, dataset)


def _load(dataset: type[Dataset]) -> DatasetArrays:
    return dataset(DATA_ROOT).load(lambda name: numpy_stream(0, "data", dataset.name, name))


def _check_splits(dataset: type[Dataset]) -> None:
    data = _load(dataset)
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    for name, split in splits.items():
        _check_split(name, split, dataset)


def _check_split(name: str, split: Split, dataset: type[Dataset]) -> None:
    shape = split.x.shape[1:]
    require(len(split.x) > 0, f"{name} is empty")
    require(shape == dataset.shape, f"{name}: inputs are {shape}, not {dataset.shape}")
    x_type = np.uint8 if dataset.images else np.float32
    require(split.x.dtype == x_type, f"{name}: x is {split.x.dtype}, not {np.dtype(x_type)}")
    require(bool(np.isfinite(split.x).all()), f"{name}: x is not finite")
    y_type = np.int64 if dataset.task == "classification" else np.float32
    require(split.y.dtype == y_type, f"{name}: y is {split.y.dtype}, not {np.dtype(y_type)}")
    if dataset.task == "classification":
        is_inside = bool(((split.y >= 0) & (split.y < dataset.outputs)).all())
        require(is_inside, f"{name}: a class outside 0 to {dataset.outputs - 1}")


def _check_sets(dataset: type[Dataset]) -> None:
    data = _load(dataset)
    if dataset.images:
        unknown = set(dataset.shifts) - set(LEVELS)
        require(not unknown, f"no such shifts: {', '.join(sorted(unknown))}")
        require(data.mean is not None and data.std is not None, "mean and std are not given")
        return
    ood, shifts = set(data.ood), {shift for shift, _ in data.shifted}
    require(ood == set(dataset.ood_groups), f"OOD sets {ood}, announced {dataset.ood_groups}")
    require(shifts == set(dataset.shifts), f"shifts {shifts}, announced {dataset.shifts}")


def _check_repeated(dataset: type[Dataset]) -> None:
    first, second = _load(dataset), _load(dataset)
    is_same = np.array_equal(first.train.x, second.train.x)
    is_same &= np.array_equal(first.test.x, second.test.x)
    is_same &= all(np.array_equal(x, second.ood[name]) for name, x in first.ood.items())
    require(bool(is_same), "loaded twice, the arrays differ; draw from the stream alone")


def _check_networks(dataset: type[Dataset]) -> None:
    networks = network_builder(describe(dataset.network), dataset.shape, dataset.outputs)
    x = torch.zeros(2, *dataset.shape)
    shape = networks.members([torch_stream(0, m) for m in range(2)])(x).shape
    require(shape == (2, 2, dataset.outputs), f"outputs of two members are {list(shape)}")
