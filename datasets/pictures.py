"""Image files: which a folder has, what tells its contents apart, and their pixels."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from datasets.base import BadData
from datasets.vision import one_line

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")  # none whose reader runs a program
DEEP = ("I", "F")  # beginnings of the modes of more than 8 bits, which would be cut off
MODES = {1: "L", 3: "RGB"}


def visible(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder by name, without hidden files.

    Raises:
        BadData: the folder can't be read.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(
                (entry for entry in entries if not entry.name.startswith(".")),
                key=lambda entry: entry.name,
            )
    except OSError as error:
        raise BadData(f"{folder}: {error.strerror}") from None


def image_files(folder: Path) -> list[Path]:
    """The files of a folder by name.

    Raises:
        BadData: there is none, or a folder among them.
    """
    entries = visible(folder)
    nested = [entry.name for entry in entries if entry.is_dir()]
    if nested:
        raise BadData(f"{folder / nested[0]}: a folder where images are expected")
    if not entries:
        raise BadData(f"{folder}: no images in it")
    return [Path(entry.path) for entry in entries]


def contents(root: Path, files: Iterable[Path]) -> str:
    """A digest of the files' names below the root, sizes and times of change."""
    digest = hashlib.sha256()
    for name, file in sorted((file.relative_to(root).as_posix(), file) for file in files):
        seen = file.stat()
        digest.update(f"{name}\0{seen.st_size}\0{seen.st_mtime_ns}\n".encode())
    return digest.hexdigest()


Memo = Callable[[str, Callable[[], np.ndarray]], np.ndarray]
"""Gives the array of a key, made by a function unless it is known."""


class Decoder:
    """Remembers decoded images, if it is told how to."""

    memo: ClassVar[Memo] = staticmethod(lambda key, make: make())


def decoded_once(root: Path, files: Sequence[Path], shape: tuple[int, ...]) -> np.ndarray:
    """`decoded`, or what is remembered of the same files below a root.

    Raises:
        BadData: as `decoded`.
    """
    key = f"{contents(root, files)}-{'x'.join(map(str, shape))}"
    return Decoder.memo(key, lambda: decoded(files, shape))


def decoded(files: Sequence[Path], shape: tuple[int, ...]) -> np.ndarray:
    """The images [N, *shape] uint8, shape [1 (grey) or 3 (RGB), H, W], scaled to it (bilinear).

    Raises:
        BadData: the first file that is no whole image of at most 8 bits a channel.
    """
    images = np.empty((len(files), *shape), np.uint8)
    # No threads: on small images they wait for one another and take twice as long.
    for image, file in zip(images, files, strict=True):
        image[...] = _pixels(file, shape)
    return images


def _pixels(file: Path, shape: tuple[int, ...]) -> np.ndarray:
    from PIL import Image

    channels, height, width = shape
    try:
        with Image.open(file, formats=FORMATS) as image:
            if image.mode.startswith(DEEP):
                raise BadData(f"{file}: more than 8 bits a channel (mode {image.mode})")
            picture = image.convert(MODES[channels])
    except BadData:
        raise
    except Exception as error:  # decoders raise all kinds
        raise BadData(f"{file}: not a whole image ({one_line(error)})") from None
    if picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(picture).reshape(height, width, channels).transpose(2, 0, 1)
