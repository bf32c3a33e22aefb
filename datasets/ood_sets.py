"""Out-of-distribution (OOD) sets of image datasets, converted to the shape of the dataset's images.

An OOD set is the test split of another image dataset, `folder:PATH` (a folder of images, or of
class folders test/CLASS/*), or synthetic:

uniform-noise: as many images as the test split has, at most 10,000, with all values uniform on
    0..255.
gaussian-noise: as many images, with values from a normal distribution that has the mean and the
    standard deviation of the channel over all test images, rounded and clipped to 0..255.
pixel-permutation: the test images with their pixels in random order, the same in all channels but
    different for each image.
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

MOST_NOISE_IMAGES = 10_000
CHUNK = 1000
"""Images that are converted at a time."""
LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601)."""
FOLDER = "folder:"


def without_group(text: str) -> str:
    """Return NAME for NAME, near:NAME or far:NAME."""
    head, _, rest = text.partition(":")
    return rest if head in get_args(OODGroup) else text


def ood_group(text: str, dataset: type[Dataset]) -> tuple[str, OODGroup]:
    """Return the name and the group of an OOD set given as NAME, near:NAME or far:NAME.

    Without a group, it is the group in the dataset's `ood_groups`, else far.

    Raises:
        BadData: the OOD set is the dataset itself.
    """
    name = without_group(text)
    if name == dataset.name:
        raise BadData(f"{name} is the dataset itself")
    groups: dict[str, OODGroup] = {group: group for group in get_args(OODGroup)}
    return name, groups.get(text.removesuffix(f":{name}"), dataset.ood_groups.get(name, "far"))


def ood_missing(name: str, root: Path) -> str:
    """Return a line that names a missing file of an OOD set; empty if no file is missing.

    Raises:
        UnknownDataset: there is no such set.
        BadData: the set does not consist of images, or files of a folder are not images.
    """
    if name in SYNTHETIC:
        return ""
    if name.startswith(FOLDER):
        check_signatures(folder_files(name))
        return ""
    return _dataset(name)(root).missing()


def ood_identity(name: str, root: Path) -> Any:
    """Return a plain value that differs if the images differ; None if the name identifies them.

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
    """Load the images [N, *dataset.shape] uint8 of an OOD set.

    Grey images become RGB by repetition, RGB images grey by their luma (BT.601). Then they are
    resized (bilinear, antialiased) to the dataset's shape; proportions are not kept.

    Args:
        name: of the set.
        dataset: whose shape the images get.
        root: the folder of the datasets' files.
        stream: returns the random stream of a name.
        limit: of more images, a random subset of this size is taken, in order.

    Raises:
        UnknownDataset, BadData: as `ood_missing`, or a file is broken.
    """
    if name in SYNTHETIC:
        return _synthetic(name, dataset(root), stream, limit)
    if name.startswith(FOLDER):
        files = folder_files(name)
        # The stream's name has no path, so that the subset does not depend on it.
        rows = _subset(len(files), limit, stream("ood/folder/rows"))
        return decoded([files[row] for row in rows], dataset.shape)[0]
    images = _dataset(name)(root).test_inputs(stream)
    return _converted(
        images[_subset(len(images), limit, stream(f"ood/{name}/rows"))], dataset.shape
    )


def folder_files(name: str) -> list[Path]:
    """Return the images of folder:PATH; those in PATH/test/CLASS/ if PATH/test exists.

    Raises:
        UnknownDataset: there is no such folder.
        BadData: the folder or one of its class folders has no images.
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
        sets = [*(key for key, cls in DATASETS.items() if cls.images), *SYNTHETIC]
        nearest = get_close_matches(name, sets, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ";"
        raise UnknownDataset(f"no OOD set {name!r}{hint} known: {', '.join(sets)}, folder:PATH")
    if not DATASETS[name].images:
        raise BadData(f"{name} is no dataset of images")
    return DATASETS[name]


def _subset(count: int, limit: int | None, rng: np.random.Generator) -> np.ndarray:
    """Return at most `limit` of the numbers 0 to count − 1, at random, ascending."""
    return np.sort(rng.permutation(count)[:limit])


def _synthetic(name: str, dataset: Dataset, stream: Stream, limit: int | None) -> np.ndarray:
    rng = stream(f"ood/{name}")
    images = dataset.test_inputs(stream)
    count = min(len(images), MOST_NOISE_IMAGES, limit or MOST_NOISE_IMAGES)
    if name == "uniform-noise":
        return rng.integers(256, size=(count, *dataset.shape), dtype=np.uint8)
    if name == "gaussian-noise":
        return _gaussian(images, count, rng)
    return _permuted(images[_subset(len(images), limit, stream(f"ood/{name}/rows"))], rng)


def _gaussian(images: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    moments = statistics(images)
    mean, std = (255 * np.array(moment, np.float32)[:, None, None] for moment in moments)
    noise = np.empty((count, *images.shape[1:]), np.uint8)
    for start in range(0, count, CHUNK):
        part = noise[start : start + CHUNK]
        values = rng.standard_normal(part.shape, np.float32) * std + mean
        part[...] = values.round().clip(0, 255)
    return noise


def _permuted(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    count, channels, height, width = images.shape
    pixels = np.tile(np.arange(height * width, dtype=np.uint32), (count, 1))
    order = rng.permuted(pixels, axis=1)[:, None]
    flat = images.reshape(count, channels, -1)
    return np.take_along_axis(flat, order, axis=2).reshape(images.shape)


def _converted(images: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Convert images [N, C, H, W] uint8 to [N, *shape] uint8."""
    if images.shape[1:] == shape:
        return images
    return np.concatenate([*_converted_chunks(images, shape)])


def _converted_chunks(images: np.ndarray, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    import torch
    from torch.nn.functional import interpolate

    channels, height, width = shape
    for start in range(0, len(images), CHUNK):
        values = torch.from_numpy(images[start : start + CHUNK]).float()
        if channels == 1 < len(values[0]):
            values = (values * torch.tensor(LUMA)[:, None, None]).sum(1, keepdim=True)
        if values.shape[-2:] != (height, width):
            values = interpolate(values, (height, width), mode="bilinear", antialias=True)
        rounded = values.round().clamp(0, 255).to(torch.uint8)
        yield rounded.expand(-1, channels, -1, -1).contiguous().numpy()
