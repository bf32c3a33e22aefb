"""Pictures: what their first bytes say, and their pixels.

A picture stands as its EXIF orientation says; what is transparent lies on white; more than 8 bits
a channel are scaled to 8. Of several frames the first is taken.
"""

from __future__ import annotations

import functools
import os
import stat
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from distillation_bench.datasets.array_memo import ArrayMemo
from distillation_bench.datasets.image_files.folder_listing import Faults, contents_digest
from distillation_bench.datasets.image_files.image_formats import FORMATS, NOT_READ
from distillation_bench.datasets.image_files.read_errors import one_line

if TYPE_CHECKING:
    from PIL.Image import Image

MODES = {1: "L", 3: "RGB"}
SIGNATURE = 16
"""Bytes from which Pillow tells formats."""
DEEP = 65535
"""White of 16 bits."""
WHITE = (255, 255, 255, 255)


class UnreadableImage(Exception):
    """Why a file gives no picture."""


def decoded_once(
    root: Path, files: Sequence[Path], shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """`decoded`, or what is remembered of the same files below a root.

    Raises:
        BadData: as `decoded`.
    """
    key = f"{contents_digest(root, files)}-{'x'.join(map(str, shape))}"
    made = functools.cache(lambda: decoded(files, shape))
    images = ArrayMemo.load_or_make(key, lambda: made()[0])
    return images, ArrayMemo.load_or_make(f"{key}-transparent", lambda: made()[1])


def decoded(files: Sequence[Path], shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The pictures, scaled to a shape [1 (grey) or 3 (RGB), H, W] (bilinear).

    Returns:
        The images [N, *shape] uint8, and which of them were transparent [N].

    Raises:
        BadData: files that are no whole pictures, all of them at once.
    """
    images = np.empty((len(files), *shape), np.uint8)
    transparent = np.zeros(len(files), bool)
    faults = Faults()
    # No threads: on small images they wait for one another and take twice as long.
    for row, file in enumerate(files):
        try:
            images[row], transparent[row] = _pixels(file, shape)
        except UnreadableImage as error:
            faults.add(file, str(error))
    faults.refuse()
    return images, transparent


def check_signatures(files: Iterable[Path]) -> None:
    """Look at the first bytes of files.

    Raises:
        BadData: files that are not in a format that is read, all of them at once.
    """
    faults = Faults()
    find_faults(files, faults)
    faults.refuse()


def find_faults(files: Iterable[Path], faults: Faults) -> None:
    """Add those files that do not begin as a format that is read does."""
    for file in files:
        try:
            with _opened(file) as stream:
                start = stream.read(SIGNATURE)
        except UnreadableImage as error:
            faults.add(file, str(error))
            continue
        if not _is_any(start, _readable()):
            faults.add(file, _what_else(start))


@functools.cache
def _readable() -> tuple[str, ...]:
    """The formats that are read and that this Pillow has."""
    from PIL import Image

    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _is_any(start: bytes, formats: Iterable[str]) -> bool:
    return any(_is(start, name) for name in formats)


def _is(start: bytes, name: str) -> bool:
    """Whether a file that begins so is in a format; a warning is the reason why it is not."""
    from PIL import Image

    accepts = Image.OPEN[name][1]
    # As Pillow itself asks them.
    with suppress(SyntaxError, IndexError, TypeError, struct.error):
        return accepts is not None and accepts(start) is True
    return False


def _what_else(start: bytes) -> str:
    """Why a file that begins so is not read."""
    from PIL import Image

    if not start:
        return "empty"
    others = [name for name in Image.OPEN if name not in FORMATS and _is(start, name)]
    if start[4:8] == b"ftyp":
        others = ["HEIC or another of its kind"]
    elif start.startswith(b"%PDF"):
        others = ["PDF"]
    return f"{NOT_READ}: {others[0]}" if others else "not an image"


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    """A regular file; a pipe or device that took its place keeps nobody waiting.

    Raises:
        Unreadable: it can't be opened, or is something else.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise UnreadableImage(error.strerror or str(error)) from None
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnreadableImage("not a regular file")
        yield stream


def _pixels(file: Path, shape: tuple[int, ...]) -> tuple[np.ndarray, bool]:
    """A picture [C, H, W] uint8, and whether it was transparent.

    Raises:
        Unreadable: it is no whole picture.
    """
    from PIL import Image

    channels, height, width = shape
    with _opened(file) as stream:
        try:
            with Image.open(stream, formats=_readable()) as image:
                picture, transparent = _plain(image, MODES[channels])
        except UnreadableImage:
            raise
        except Exception as error:  # decoders raise all kinds
            stream.seek(0)
            start = stream.read(SIGNATURE)
            known = _is_any(start, _readable())
            reason = f"not a whole image ({one_line(error)})" if known else _what_else(start)
            raise UnreadableImage(reason) from None
    if picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(picture).reshape(height, width, channels).transpose(2, 0, 1)
    return pixels, transparent


def _plain(image: Image, mode: str) -> tuple[Image, bool]:
    """A picture as it is meant to be seen, in 8 bits a channel; and whether it was transparent."""
    from PIL import Image, ImageOps

    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith(("I", "F")):
        return _shallow(upright).convert(mode), False
    if not upright.has_transparency_data:
        return upright.convert(mode), False
    seen = upright.convert("RGBA")
    transparent = bool(np.asarray(seen)[..., -1].min() < WHITE[-1])
    white = Image.new("RGBA", seen.size, WHITE)
    return Image.alpha_composite(white, seen).convert(mode), transparent


def _shallow(image: Image) -> Image:
    """Grey of 8 bits, from 16 bits or from numbers of which 1 is white.

    Raises:
        Unreadable: of other numbers nobody knows which is white.
    """
    from PIL import Image

    values = np.asarray(image).astype(np.float64)
    white = 1 if image.mode.startswith("F") else DEEP
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= white):
        raise UnreadableImage(
            f"mode {image.mode}: values from {low:g} to {high:g}, not 0 to {white}"
        )
    return Image.fromarray((values * (255 / white)).round().astype(np.uint8))
