"""A dataset's arrays, made once per (dataset, data seed) and kept in the cache.

Two entries: the splits, which teachers are trained on, and the evaluation sets (the test set
shifted, and OOD sets), so that another OOD set leaves the teachers alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from distillation_bench.bench.common.hashing import digest, versions
from distillation_bench.bench.common.random_streams import numpy_stream, stream_name
from distillation_bench.bench.planning.cache_keys import DataPlan
from distillation_bench.bench.planning.code_digests import DECODER
from distillation_bench.bench.storage.cache import Cache, Damaged
from distillation_bench.bench.storage.formats.tensor_files import Later
from distillation_bench.datasets import get
from distillation_bench.datasets.array_memo import ArrayMemo
from distillation_bench.datasets.base import Dataset, DatasetArrays, Split, Stream
from distillation_bench.datasets.stratified_sampling import rare_classes, stratified_rows

SHIFTED = 2**24
"""Bytes of images that are shifted at a time."""


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
class Scaling:
    """Normalisation of uint8 images [..., C, H, W] by statistics of channels in [0, 1]."""

    mean: Tensor
    std: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        """(x / 255 − mean) / std, with channels last in memory."""
        factor, offset = 1 / (255 * self.std), self.mean / self.std
        scaled = images.float() * factor[:, None, None] - offset[:, None, None]
        return _channels_last(scaled)

    def to(self, device: torch.device) -> Scaling:
        """The same on a device."""
        return Scaling(self.mean.to(device), self.std.to(device))


def _channels_last(images: Tensor) -> Tensor:
    """The same [..., C, H, W] with channels next to one another in memory."""
    if images.shape[-3] == 1:
        # Of one channel torch calls any layout right and chooses the slower convolution.
        images = images.contiguous()
        strides = (*images.stride()[:-3], 1, images.shape[-1], 1)
        return images.as_strided(images.shape, strides)
    return images.movedim(-3, -1).contiguous().movedim(-1, -3)


@dataclass(frozen=True)
class PreparedData:
    """What one cell or teacher reads: training and validation splits, evaluation sets.

    `scaling` is None where inputs are not images; `classes` has a meaning in classification;
    `canvas` is what a figure draws, if there is something; `device` is where batches are needed.
    """

    train: tuple[Tensor, Tensor]
    validation: EvaluationSet
    sets: tuple[EvaluationSet, ...]
    scaling: Scaling | None = None
    classes: int = 0
    canvas: EvaluationSet | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def examples(self) -> int:
        """Number of training examples."""
        return len(self.train[0])

    def inputs(self, x: Tensor, device: torch.device | None = None) -> Tensor:
        """What networks see of x [..., *shape]: float32, images normalised, on a device."""
        x = x.to(device or self.device, non_blocking=True)
        return x if self.scaling is None else self.scaling.to(x.device)(x)

    def to(self, device: torch.device) -> PreparedData:
        """For training on a device: there as a whole, or batch by batch where it doesn't fit."""
        x, y = self.train
        if device.type == "cuda" and x.nbytes < torch.cuda.mem_get_info(device)[0] / 2:
            x, y = x.to(device), y.to(device)
        return replace(self, train=(x, y), device=device)

    def batch(self, indices: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Raw training inputs and targets at some indices (where the split is), on the device."""
        x, y = self.train
        return x[indices].to(self.device), y[indices].to(self.device)


def prepare(cache: Cache, plan: DataPlan, root: Path) -> None:
    """Load a dataset and put its arrays into the cache.

    Raises:
        BadData: a file is broken.
    """
    dataset = get(plan.dataset)
    ArrayMemo.load_or_make = staticmethod(partial(_remembered, cache))

    def stream(name: str) -> np.random.Generator:
        return numpy_stream(plan.seed, "data", stream_name(plan.dataset), name)

    data = dataset(root).load(stream)
    rows = _rows(data.train, plan.examples, dataset, stream("examples"))
    tested = _rows(data.test, plan.test_examples, dataset, stream("test examples"))
    corrupted = _corrupted(data, dataset, plan, tested)
    data = replace(data, train=_some(data.train, rows), test=_some(data.test, tested))
    note = {
        "dataset": plan.dataset,
        "data_seed": plan.seed,
        "remarks": _remarks(data, dataset),
    }
    arrays = dict(_flatten({"train": data.train, "validation": data.validation}))
    if data.mean is not None and data.std is not None:
        arrays |= {"mean": np.array(data.mean, np.float32), "std": np.array(data.std, np.float32)}
    cache.save(plan.splits_key, arrays, note)
    data = replace(data, shifted={**data.shifted, **corrupted})
    cache.save(plan.sets_key, _evaluation_arrays(data, dataset, plan, root, stream), note)


def _remembered(cache: Cache, content: str, make: Callable[[], np.ndarray]) -> np.ndarray:
    """Images that were decoded for another seed or set are in the cache."""
    code = DECODER.digest()
    key = f"decoded-{digest([content, code, versions('numpy', 'pillow')])[:32]}"
    with cache.lock(key):
        try:
            return cache.load(key)["array"].numpy()
        except Damaged:
            array = make()
            cache.save(key, {"array": array}, {})
            return array


def _rows(
    split: Split, limit: int | None, dataset: type[Dataset], rng: np.random.Generator
) -> np.ndarray:
    """As many rows as the recipe allows, ascending; of classes, stratified."""
    if limit is None or limit >= len(split):
        return np.arange(len(split))
    if dataset.task == "classification":
        return stratified_rows(split.y, limit, rng)
    return np.sort(rng.permutation(len(split))[:limit])


def _remarks(data: DatasetArrays, dataset: type[Dataset]) -> list[str]:
    """What was seen of the data when it was read, then of what is left of it."""
    lines = [*data.remarks]
    if dataset.task == "classification":
        splits = {"train": data.train, "validation": data.validation, "test": data.test}
        counts = {
            part: np.bincount(split.y, minlength=dataset.outputs).tolist()
            for part, split in splits.items()
        }
        lines += rare_classes(counts, dataset.classes or [*map(str, range(dataset.outputs))])
    return list(dict.fromkeys(lines))


def _some(split: Split, rows: np.ndarray) -> Split:
    return split if len(rows) == len(split) else Split(split.x[rows], split.y[rows])


def _corrupted(
    data: DatasetArrays, dataset: type[Dataset], plan: DataPlan, rows: np.ndarray
) -> dict[tuple[str, int], Split]:
    if not plan.sources.corruptions:
        return {}
    from distillation_bench.datasets.corruptions import corrupted

    folder, y = Path(plan.sources.corruptions), data.test.y
    return {name: Split(x, y[rows]) for name, x in corrupted(folder, dataset, y, rows)}


def _evaluation_arrays(
    data: DatasetArrays, dataset: type[Dataset], plan: DataPlan, root: Path, stream: Stream
) -> dict[str, np.ndarray | Later]:
    arrays, ood = dict[str, np.ndarray | Later](), dict(data.ood)
    if dataset.images:
        from distillation_bench.datasets.ood_sets import load_ood

        arrays |= _shifted(data.test, dataset.shifts)
        for each in plan.sources.present:
            ood[each.name] = load_ood(each.source, dataset, root, stream, plan.test_examples)
    splits = {"test": data.test}
    if data.canvas is not None:
        splits["canvas"] = data.canvas
    splits |= {f"test/{shift}/{level}": split for (shift, level), split in data.shifted.items()}
    arrays |= _flatten(splits)
    return arrays | {f"ood:{name}.x": x for name, x in ood.items()}


def _shifted(test: Split, names: Sequence[str]) -> dict[str, np.ndarray | Later]:
    """The shifted test sets, whose images are made when they are written: one set at a time."""
    from distillation_bench.datasets.shifts import LEVELS

    arrays: dict[str, np.ndarray | Later] = {}
    for name in names:
        for level in range(1, len(LEVELS[name]) + 1):
            make = partial(_shifted_images, test.x, name, level)
            arrays[f"test/{name}/{level}.x"] = Later(test.x.shape, test.x.dtype, make)
            arrays[f"test/{name}/{level}.y"] = test.y
    return arrays


def _shifted_images(x: np.ndarray, name: str, level: int) -> np.ndarray:
    from distillation_bench.datasets.shifts import shifted

    result = np.empty_like(x)
    rows = max(1, SHIFTED // max(1, x[:1].nbytes))
    for start in range(0, len(x), rows):
        some = slice(start, start + rows)
        result[some] = shifted(torch.from_numpy(x[some]), name, level).numpy()
    return result


def _flatten(splits: Mapping[str, Split]) -> Iterator[tuple[str, np.ndarray]]:
    for name, split in splits.items():
        yield f"{name}.x", split.x
        yield f"{name}.y", split.y


def load(cache: Cache, plan: DataPlan) -> PreparedData:
    """The arrays as tensors.

    Raises:
        Damaged: an entry is missing or damaged.
    """
    splits, sets = cache.load(plan.splits_key), cache.load(plan.sets_key)
    return PreparedData(
        train=(splits["train.x"], splits["train.y"]),
        validation=EvaluationSet("validation", splits["validation.x"], splits["validation.y"]),
        sets=tuple(sorted(_sets(sets), key=lambda each: (each.name != "test", each.key))),
        scaling=Scaling(splits["mean"], splits["std"]) if "mean" in splits else None,
        classes=get(plan.dataset).outputs,
        canvas=EvaluationSet("canvas", sets["canvas.x"], sets["canvas.y"])
        if "canvas.x" in sets
        else None,
    )


def _sets(arrays: Mapping[str, Tensor]) -> Iterator[EvaluationSet]:
    for name, x in arrays.items():
        key = name.removesuffix(".x")
        if key == name or not key.startswith(("test", "ood:")):
            continue
        if key.startswith("ood:"):
            yield EvaluationSet(key, x)
            continue
        kind, shift, severity = key.split("/") if "/" in key else (key, "", "0")
        yield EvaluationSet(kind, x, arrays[f"{key}.y"], shift, int(severity))
