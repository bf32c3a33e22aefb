"""Decoding of image files, and checks of their first bytes.

Images are rotated as their EXIF orientation says, and put on white where they are transparent;
more than 8 bits per channel are scaled to 8. Of several frames the first is used.
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
"""Pillow's mode by number of channels."""
SIGNATURE_BYTES = 16
"""First bytes of a file, by which Pillow recognises formats."""
WHITE_16_BIT = 65535
WHITE = (255, 255, 255, 255)


class UnreadableImage(Exception):
    """The reason why a file can't be decoded."""


def decoded_once(
    root: Path, files: Sequence[Path], shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return what `decoded` returns, from the `ArrayMemo` if the same files were decoded before.

    Args:
        root: the folder of the files.
        files: image files.
        shape: of the result, [C, H, W].

    Raises:
        BadData: as `decoded`.
    """
    key = f"{contents_digest(root, files)}-{'x'.join(map(str, shape))}"
    decode = functools.cache(lambda: decoded(files, shape))
    images = ArrayMemo.load_or_make(key, lambda: decode()[0])
    return images, ArrayMemo.load_or_make(f"{key}-transparent", lambda: decode()[1])


def decoded(files: Sequence[Path], shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Decode image files and scale them to a shape (bilinear).

    Args:
        files: N image files.
        shape: [C, H, W] with C = 1 (grey) or 3 (RGB).

    Returns:
        The images [N, *shape] uint8, and whether each had transparent pixels [N].

    Raises:
        BadData: some files can't be decoded; the message names them all.
    """
    images = np.empty((len(files), *shape), np.uint8)
    transparent = np.zeros(len(files), bool)
    faults = Faults()
    # No threads: with small images they wait for each other and take twice as long.
    for row, file in enumerate(files):
        try:
            images[row], transparent[row] = _pixels(file, shape)
        except UnreadableImage as error:
            faults.add(file, str(error))
    faults.refuse()
    return images, transparent


def check_signatures(files: Iterable[Path]) -> None:
    """Check the first bytes of files.

    Raises:
        BadData: some files are not in a format that is read; the message names them all.
    """
    faults = Faults()
    find_faults(files, faults)
    faults.refuse()


def find_faults(files: Iterable[Path], faults: Faults) -> None:
    """Add the files whose first bytes do not belong to a format that is read."""
    for file in files:
        try:
            with _opened(file) as stream:
                start = stream.read(SIGNATURE_BYTES)
        except UnreadableImage as error:
            faults.add(file, str(error))
            continue
        if not _is_any(start, _readable()):
            faults.add(file, _reason_unread(start))


@functools.cache
def _readable() -> tuple[str, ...]:
    """Return the formats that are read and that the installed Pillow supports."""
    from PIL import Image

    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _is_any(start: bytes, formats: Iterable[str]) -> bool:
    """Return whether a file with these first bytes is in one of the formats."""
    return any(_is(start, name) for name in formats)


def _is(start: bytes, name: str) -> bool:
    """Return whether a file with these first bytes is in a format, as Pillow recognises it."""
    from PIL import Image

    accepts = Image.OPEN[name][1]
    # Pillow suppresses the same errors; a result other than True is the text of a warning.
    with suppress(SyntaxError, IndexError, TypeError, struct.error):
        return accepts is not None and accepts(start) is True
    return False


def _reason_unread(start: bytes) -> str:
    """Return why a file with these first bytes is not read."""
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
    """Open a regular file; do not wait if it is a pipe or a device.

    Raises:
        UnreadableImage: the file can't be opened, or is not a regular file.
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
    """Return an image [C, H, W] uint8, and whether it had transparent pixels.

    Raises:
        UnreadableImage: the file can't be decoded.
    """
    from PIL import Image

    channels, height, width = shape
    with _opened(file) as stream:
        try:
            with Image.open(stream, formats=_readable()) as stored:
                image, transparent = _opaque(stored, MODES[channels])
        except UnreadableImage:
            raise
        except Exception as error:  # decoders raise exceptions of any class
            stream.seek(0)
            start = stream.read(SIGNATURE_BYTES)
            readable = _is_any(start, _readable())
            reason = f"not a whole image ({one_line(error)})" if readable else _reason_unread(start)
            raise UnreadableImage(reason) from None
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(image).reshape(height, width, channels).transpose(2, 0, 1)
    return pixels, transparent


def _opaque(image: Image, mode: str) -> tuple[Image, bool]:
    """Return an image upright, on white and with 8 bits per channel; and if it was transparent."""
    from PIL import Image, ImageOps

    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith(("I", "F")):
        return _to_8_bits(upright).convert(mode), False
    if not upright.has_transparency_data:
        return upright.convert(mode), False
    with_alpha = upright.convert("RGBA")
    transparent = bool(np.asarray(with_alpha)[..., -1].min() < WHITE[-1])
    white = Image.new("RGBA", with_alpha.size, WHITE)
    return Image.alpha_composite(white, with_alpha).convert(mode), transparent


def _to_8_bits(image: Image) -> Image:
    """Convert a grey image of 16-bit integers, or of floats from 0 to 1, to 8 bits.

    Raises:
        UnreadableImage: the values are outside that range, so that white is unknown.
    """
    from PIL import Image

    values = np.asarray(image).astype(np.float64)
    white = 1 if image.mode.startswith("F") else WHITE_16_BIT
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= white):
        raise UnreadableImage(
            f"mode {image.mode}: values from {low:g} to {high:g}, not 0 to {white}"
        )
    return Image.fromarray((values * (255 / white)).round().astype(np.uint8))
