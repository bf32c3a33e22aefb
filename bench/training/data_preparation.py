"""Loading a dataset and storing its arrays in the cache, once per (dataset, data seed).

There are two cache entries: the splits, on which teachers are trained, and the evaluation sets
(the test set, shifted test sets and OOD sets). So teachers stay valid when an OOD set is added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from distillation_bench.bench.common.hashing import digest, versions
from distillation_bench.bench.common.random_streams import numpy_stream, stream_name
from distillation_bench.bench.planning.cache_keys import DataPlan
from distillation_bench.bench.planning.code_digests import DECODER
from distillation_bench.bench.storage.cache import Cache, DamagedEntry
from distillation_bench.bench.storage.formats.tensor_files import LazyArray
from distillation_bench.bench.training.hardware.compute import prepare_process
from distillation_bench.datasets import get
from distillation_bench.datasets.array_memo import ArrayMemo
from distillation_bench.datasets.base import Dataset, DatasetArrays, Split
from distillation_bench.datasets.stratified_sampling import rare_classes, stratified_rows

CHUNK_BYTES = 2**24
"""Bytes of images that are shifted at a time."""


def prepare_data(cache: Cache, plan: DataPlan, root: Path) -> None:
    """Load a dataset and store its arrays in the cache.

    Args:
        cache: where the arrays are stored.
        plan: which dataset and data seed, and the keys of the two entries.
        root: the folder of the datasets' files.

    Raises:
        BadData: a file is broken.
    """
    prepare_process()
    ArrayMemo.load_or_make = staticmethod(partial(_load_or_make, cache))
    preparation = _Preparation(plan, root, get(plan.dataset))
    data = preparation.load()
    note = {
        "dataset": plan.dataset,
        "data_seed": plan.seed,
        "remarks": _remarks(data, preparation.dataset),
    }
    cache.save(plan.splits_key, _split_arrays(data), note)
    cache.save(plan.sets_key, preparation.evaluation_arrays(data), note)


def _load_or_make(cache: Cache, content: str, make: Callable[[], np.ndarray]) -> np.ndarray:
    """Load an array that was made for another seed or set, or make and store it."""
    code = DECODER.digest()
    key = f"decoded-{digest([content, code, versions('numpy', 'pillow')])[:32]}"
    with cache.lock(key):
        try:
            return cache.load(key)["array"].numpy()
        except DamagedEntry:
            array = make()
            cache.save(key, {"array": array}, {})
            return array


@dataclass(frozen=True)
class _Preparation:
    """What the arrays of one dataset and data seed are made from."""

    plan: DataPlan
    root: Path
    dataset: type[Dataset]

    def stream(self, name: str) -> np.random.Generator:
        """Return the named random stream of this dataset and data seed."""
        return numpy_stream(self.plan.seed, "data", stream_name(self.plan.dataset), name)

    def load(self) -> DatasetArrays:
        """Load the dataset, take the subsets that the recipe asks for, and add corruptions."""
        data = self.dataset(self.root).load(self.stream)
        train_rows = self._subset(data.train, self.plan.examples, "examples")
        test_rows = self._subset(data.test, self.plan.test_examples, "test examples")
        return replace(
            data,
            train=_at(data.train, train_rows),
            test=_at(data.test, test_rows),
            shifted={**data.shifted, **self._corrupted(data.test.y, test_rows)},
        )

    def _subset(self, split: Split, limit: int | None, stream: str) -> np.ndarray:
        """Return the rows of at most `limit` examples, ascending; stratified by class."""
        rng = self.stream(stream)
        if limit is None or limit >= len(split):
            return np.arange(len(split))
        if self.dataset.task == "classification":
            return stratified_rows(split.y, limit, rng)
        return np.sort(rng.permutation(len(split))[:limit])

    def _corrupted(self, y: np.ndarray, rows: np.ndarray) -> dict[tuple[str, int], Split]:
        """Read corrupted test sets, as CIFAR-10-C, from the folder that the user gave.

        Args:
            y: targets of the whole test split.
            rows: of the test split that are used.
        """
        if not self.plan.sources.corruptions:
            return {}
        from distillation_bench.datasets.corruptions import corrupted

        sets = corrupted(Path(self.plan.sources.corruptions), self.dataset, y, rows)
        return {name: Split(x, y[rows]) for name, x in sets}

    def evaluation_arrays(self, data: DatasetArrays) -> dict[str, np.ndarray | LazyArray]:
        """Return the arrays of all evaluation sets and of the canvas, by name."""
        arrays, ood = dict[str, np.ndarray | LazyArray](), dict(data.ood)
        if self.dataset.images:
            arrays |= _shifted(data.test, self.dataset.shifts)
            ood |= self._ood_images()
        splits = {"test": data.test}
        if data.canvas is not None:
            splits["canvas"] = data.canvas
        splits |= {f"test/{name}/{level}": split for (name, level), split in data.shifted.items()}
        arrays |= _named_arrays(splits)
        return arrays | {f"ood:{name}.x": x for name, x in ood.items()}

    def _ood_images(self) -> dict[str, np.ndarray]:
        """Load the images of the OOD sets."""
        from distillation_bench.datasets.ood_sets import load_ood

        arguments = (self.dataset, self.root, self.stream, self.plan.test_examples)
        present = self.plan.sources.present
        return {ood_set.name: load_ood(ood_set.source, *arguments) for ood_set in present}


def _at(split: Split, rows: np.ndarray) -> Split:
    return split if len(rows) == len(split) else Split(split.x[rows], split.y[rows])


def _split_arrays(data: DatasetArrays) -> dict[str, np.ndarray]:
    """Return the arrays of the training and validation splits, and the channels' statistics."""
    arrays = dict(_named_arrays({"train": data.train, "validation": data.validation}))
    if data.mean is not None and data.std is not None:
        arrays |= {"mean": np.array(data.mean, np.float32), "std": np.array(data.std, np.float32)}
    return arrays


def _remarks(data: DatasetArrays, dataset: type[Dataset]) -> list[str]:
    """Return the remarks of the dataset, and which classes have too few examples."""
    lines = [*data.remarks]
    if dataset.task == "classification":
        splits = {"train": data.train, "validation": data.validation, "test": data.test}
        counts = {
            name: np.bincount(split.y, minlength=dataset.outputs).tolist()
            for name, split in splits.items()
        }
        lines += rare_classes(counts, dataset.classes or [*map(str, range(dataset.outputs))])
    return list(dict.fromkeys(lines))


def _shifted(test: Split, shifts: Sequence[str]) -> dict[str, np.ndarray | LazyArray]:
    """Return the shifted test sets, whose images are made one set at a time, when written."""
    from distillation_bench.datasets.shifts import LEVELS

    arrays: dict[str, np.ndarray | LazyArray] = {}
    for shift in shifts:
        for severity in range(1, len(LEVELS[shift]) + 1):
            make = partial(_shifted_images, test.x, shift, severity)
            arrays[f"test/{shift}/{severity}.x"] = LazyArray(test.x.shape, test.x.dtype, make)
            arrays[f"test/{shift}/{severity}.y"] = test.y
    return arrays


def _shifted_images(x: np.ndarray, shift: str, severity: int) -> np.ndarray:
    """Shift images [N, C, H, W] in chunks, which bounds the memory of intermediate results."""
    from distillation_bench.datasets.shifts import shifted

    result = np.empty_like(x)
    size = max(1, CHUNK_BYTES // max(1, x[:1].nbytes))
    for start in range(0, len(x), size):
        chunk = slice(start, start + size)
        result[chunk] = shifted(torch.from_numpy(x[chunk]), shift, severity).numpy()
    return result


def _named_arrays(splits: Mapping[str, Split]) -> Iterator[tuple[str, np.ndarray]]:
    for name, split in splits.items():
        yield f"{name}.x", split.x
        yield f"{name}.y", split.y
