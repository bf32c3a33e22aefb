"""Tiny files in the formats of the image datasets."""

from __future__ import annotations

import hashlib
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat  # type: ignore[import-untyped, unused-ignore]

from distillation_bench.datasets.image_files.torchvision_import import torchvision_datasets

TRAIN, TEST = 40, 20
CIFAR = {
    "CIFAR10": ("cifar-10-batches-py", "labels", "batches.meta", "label_names"),
    "CIFAR100": ("cifar-100-python", "fine_labels", "meta", "fine_label_names"),
}


def pixels(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8)


def write_idx(file: Path, array: np.ndarray) -> None:
    """IDX: two zero bytes, 8 for unsigned bytes, the number of axes, big-endian sides, values."""
    file.parent.mkdir(parents=True, exist_ok=True)
    sides = struct.pack(f">{array.ndim}I", *array.shape)
    file.write_bytes(bytes((0, 0, 8, array.ndim)) + sides + array.astype(np.uint8).tobytes())


def write_mnist_like(root: Path, files: tuple[str, ...], classes: int, first: int = 0) -> None:
    """Write random images 28 x 28; labels count from `first` through all classes."""
    for count, (images, labels) in zip((TRAIN, TEST), (files[:2], files[2:]), strict=True):
        write_idx(root / images, pixels((count, 28, 28), count))
        write_idx(root / labels, np.arange(count) % classes + first)


def write_cifar(root: Path, kind: str, patch: pytest.MonkeyPatch) -> None:
    """Write random images as pickled batches and make torchvision expect their checksums."""
    folder, key, meta, names = CIFAR[kind]
    (root / folder).mkdir(parents=True)
    reader = getattr(torchvision_datasets(), kind)
    for attribute, count in (("train_list", TRAIN), ("test_list", TEST)):
        batches = getattr(reader, attribute)
        size = count // len(batches)
        written = []
        for number, (name, _) in enumerate(batches):
            labels = [(size * number + i) % 10 for i in range(size)]
            batch = {"data": pixels((size, 3072), number), key: labels}
            written.append([name, _pickled(root / folder / name, batch)])
        patch.setattr(reader, attribute, written)
    checksum = _pickled(root / folder / meta, {names: [str(number) for number in range(10)]})
    patch.setattr(reader, "meta", {"filename": meta, "key": names, "md5": checksum})


def write_svhn(root: Path, patch: pytest.MonkeyPatch) -> None:
    """Write random images as .mat files, where 10 is the label of 0, and their checksums."""
    reader = torchvision_datasets().SVHN
    checksums: dict[str, Any] = {}
    for part, count in (("train", TRAIN), ("test", TEST)):
        url, name, _ = reader.split_list[part]
        labels = np.arange(count)[:, None] % 10 + 1
        savemat(root / name, {"X": pixels((32, 32, 3, count), count), "y": labels})
        checksums[part] = [url, name, md5(root / name)]
    patch.setattr(reader, "split_list", checksums)


def write_images(folder: Path, count: int, side: int = 8, seed: int = 0) -> None:
    folder.mkdir(parents=True)
    for number, image in enumerate(pixels((count, side, side, 3), seed)):
        Image.fromarray(image).save(folder / f"{number:02}.png")


def write_classes(root: Path, classes: tuple[str, ...] = ("cat", "dog")) -> None:
    """Write 20 tiny images: for each of two classes 6 to train on and 4 to test."""
    for number, name in enumerate(classes):
        write_images(root / "train" / name, 6, seed=number)
        write_images(root / "test" / name, 4, seed=10 + number)


def md5(file: Path) -> str:
    return hashlib.md5(file.read_bytes()).hexdigest()


def _pickled(file: Path, content: Any) -> str:
    file.write_bytes(pickle.dumps(content))
    return md5(file)
