"""Out-of-distribution sets of image datasets, made to look like the images of the dataset.

A set is another image dataset (its test split), ``folder:PATH`` (of class folders test/CLASS/*, or
of images), or synthetic:

uniform-noise: as many images as there are to test, 10,000 at most, every value uniform on 0..255.
gaussian-noise: as many, every value from a normal distribution with the mean and the standard
    deviation of its channel over all test images, rounded and clipped to 0..255.
pixel-permutation: the test images, the pixels of each in a random order of its own, which is the
    same in all channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import numpy as np

from distillation_bench.datasets import DATASETS, UnknownDataset
from distillation_bench.datasets.base import BadData, Dataset, OODGroup, Stream
from distillation_bench.datasets.folder import statistics
from distillation_bench.datasets.image_files.folder_listing import (
    contents_digest,
    image_files,
    subfolders,
)
from distillation_bench.datasets.image_files.image_dataset import SYNTHETIC
from distillation_bench.datasets.image_files.image_decoding import check_signatures, decoded

NOISE_IMAGES = 10_000
CHUNK = 1000  # images that are resized at a time
LUMA = (0.299, 0.587, 0.114)  # grey of red, green, blue, ITU-R BT.601
FOLDER = "folder:"


def without_group(text: str) -> str:
    """NAME of NAME, near:NAME or far:NAME."""
    head, _, rest = text.partition(":")
    return rest if head in get_args(OODGroup) else text


def ood_group(text: str, dataset: type[Dataset]) -> tuple[str, OODGroup]:
    """The name and the group of a set as a user gives it: NAME, near:NAME or far:NAME.

    Without a group it is the one that the dataset gives the set, or else far.

    Raises:
        BadData: the set is the dataset itself.
    """
    name = without_group(text)
    if name == dataset.name:
        raise BadData(f"{name} is the dataset itself")
    groups: dict[str, OODGroup] = {group: group for group in get_args(OODGroup)}
    return name, groups.get(text.removesuffix(f":{name}"), dataset.ood_groups.get(name, "far"))


def ood_missing(name: str, root: Path) -> str:
    """Which file of a set is not there and where it was looked for; empty if it can be had.

    Raises:
        UnknownDataset: there is no such set.
        BadData: the set is no set of images, or files of a folder are none.
    """
    if name in SYNTHETIC:
        return ""
    if name.startswith(FOLDER):
        check_signatures(folder_files(name))
        return ""
    return _dataset(name)(root).missing()


def ood_identity(name: str, root: Path) -> Any:
    """A plain value that tells two contents of one name apart; None if the name does.

    Raises:
        UnknownDataset, BadData: as `ood_missing`.
    """
    if name in SYNTHETIC:
        return None
    if name.startswith(FOLDER):
        return contents_digest(_path(name), folder_files(name))
    return _dataset(name)(root).identity()


def load_ood(
    name: str, dataset: type[Dataset], root: Path, stream: Stream, limit: int | None = None
) -> np.ndarray:
    """The images [N, *dataset.shape] uint8 of a set.

    Grey becomes RGB by repetition, RGB grey by its BT.601 luma; then images are resized (bilinear,
    antialiased, whatever their proportions). At most `limit` images: random ones in their order.

    Raises:
        UnknownDataset, BadData: as `ood_missing`, or a file is broken.
    """
    if name in SYNTHETIC:
        return _synthetic(name, dataset(root), stream, limit)
    if name.startswith(FOLDER):
        files = folder_files(name)
        # Where the folder lies does not decide which images are drawn.
        chosen = _some(len(files), limit, stream("ood/folder/rows"))
        return decoded([files[row] for row in chosen], dataset.shape)[0]
    images = _dataset(name)(root).test_inputs(stream)
    return _alike(images[_some(len(images), limit, stream(f"ood/{name}/rows"))], dataset.shape)


def folder_files(name: str) -> list[Path]:
    """The images of folder:PATH, those of PATH/test/CLASS/ if there is a PATH/test.

    Raises:
        UnknownDataset: there is no such folder.
        BadData: it has no images, or an empty folder among the classes.
    """
    path = _path(name)
    if not path.is_dir():
        raise UnknownDataset(f"{name!r}: no folder {path}")
    if not (path / "test").is_dir():
        return _images_alone(path)
    classes = subfolders(path / "test")
    if not classes:
        raise BadData(f"{path / 'test'}: no class folders in it")
    return [file for name in classes for file in image_files(path / "test" / name)]


def _images_alone(path: Path) -> list[Path]:
    if folders := subfolders(path):
        where = "an OOD set's images are in the folder itself or in test/CLASS/"
        raise BadData(f"{path}: a folder in it, {folders[0]}; {where}")
    return image_files(path)


def _path(name: str) -> Path:
    try:
        return Path(name.removeprefix(FOLDER)).expanduser()
    except RuntimeError:
        raise UnknownDataset(f"{name!r}: there is no such user") from None


def _dataset(name: str) -> type[Dataset]:
    if name not in DATASETS:
        known = [*(each for each, cls in DATASETS.items() if cls.images), *SYNTHETIC]
        nearest = get_close_matches(name, known, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ";"
        raise UnknownDataset(f"no OOD set {name!r}{hint} known: {', '.join(known)}, folder:PATH")
    if not DATASETS[name].images:
        raise BadData(f"{name} is no dataset of images")
    return DATASETS[name]


def _some(count: int, limit: int | None, rng: np.random.Generator) -> np.ndarray:
    return np.sort(rng.permutation(count)[:limit])


def _synthetic(name: str, dataset: Dataset, stream: Stream, limit: int | None) -> np.ndarray:
    rng = stream(f"ood/{name}")
    images = dataset.test_inputs(stream)
    count = min(len(images), NOISE_IMAGES, limit or NOISE_IMAGES)
    if name == "uniform-noise":
        return rng.integers(256, size=(count, *dataset.shape), dtype=np.uint8)
    if name == "gaussian-noise":
        return _gaussian(images, count, rng)
    return _permuted(images[_some(len(images), limit, stream(f"ood/{name}/rows"))], rng)


def _gaussian(images: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    mean, std = (255 * np.array(each, np.float32)[:, None, None] for each in statistics(images))
    noise = np.empty((count, *images.shape[1:]), np.uint8)
    for start in range(0, count, CHUNK):
        part = noise[start : start + CHUNK]
        drawn = rng.standard_normal(part.shape, np.float32) * std + mean
        part[...] = drawn.round().clip(0, 255)
    return noise


def _permuted(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    count, channels, height, width = images.shape
    pixels = np.tile(np.arange(height * width, dtype=np.uint32), (count, 1))
    order = rng.permuted(pixels, axis=1)[:, None]
    flat = images.reshape(count, channels, -1)
    return np.take_along_axis(flat, order, axis=2).reshape(images.shape)


def _alike(images: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Images [N, C, H, W] uint8 as [N, *shape] uint8."""
    if images.shape[1:] == shape:
        return images
    return np.concatenate([*_converted(images, shape)])


def _converted(images: np.ndarray, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    import torch
    from torch.nn.functional import interpolate

    channels, height, width = shape
    for start in range(0, len(images), CHUNK):
        values = torch.from_numpy(images[start : start + CHUNK]).float()
        if channels == 1 < len(values[0]):
            values = (values * torch.tensor(LUMA)[:, None, None]).sum(1, keepdim=True)
        if values.shape[-2:] != (height, width):
            values = interpolate(values, (height, width), mode="bilinear", antialias=True)
        whole = values.round().clamp(0, 255).to(torch.uint8)
        yield whole.expand(-1, channels, -1, -1).contiguous().numpy()
