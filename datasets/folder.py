"""``folder:PATH``: any folder of class folders of images, as a dataset."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from distillation_bench.datasets.base import (
    BadData,
    DatasetArrays,
    OODGroup,
    Split,
    Stream,
    UnknownDataset,
)
from distillation_bench.datasets.cifar import CIFAR10
from distillation_bench.datasets.image_files.class_folders import ClassFolders, find_class_folders
from distillation_bench.datasets.image_files.duplicates import duplicate_remarks
from distillation_bench.datasets.image_files.folder_listing import contents_digest
from distillation_bench.datasets.image_files.image_dataset import (
    SYNTHETIC,
    ImageDataset,
    SplitName,
    held_out,
)
from distillation_bench.datasets.image_files.image_decoding import check_signatures, decoded_once
from distillation_bench.datasets.mnist import MNIST

Colour = Literal["rgb", "grey"]

SMALLEST = 8  # pixels a side
SMALLEST_BATCH = 16
SMALL_SIDE, SMALL_COUNT = 32, 60_000  # most pixels a side and images for which LeNet is the default
PASSES = 300_000  # images that it sees in all, as far as that takes so many epochs:
FEWEST_EPOCHS, MOST_EPOCHS = 20, 100
_SPEC = re.compile(r"folder:(?P<path>.+?)(?:\[(?P<options>[^\[\]]*)\])?", re.DOTALL)
_SIZE = re.compile(r"(?P<width>[0-9]{1,4})(?:x(?P<height>[0-9]{1,4}))?", re.ASCII)
_EXPECTED = f"size=N or size=WIDTHxHEIGHT (at least {SMALLEST}) or colour=rgb|grey"


@dataclass(frozen=True)
class Spec:
    """What the text folder:PATH[size=32,colour=rgb] asks for."""

    path: Path
    width: int = 32
    height: int = 32
    colour: Colour = "rgb"

    @property
    def shape(self) -> tuple[int, int, int]:
        """[C, H, W]."""
        return (3 if self.colour == "rgb" else 1, self.height, self.width)


class Folder(ImageDataset, unfinished=True):
    """Images PATH/train/CLASS/* and PATH/test/CLASS/*, validated on val/ or a tenth.

    Classes are numbered in the order of their names. Every image stands as its EXIF orientation
    says, lies on white where it is transparent, is scaled to width x height whatever its
    proportions (bilinear), and is made RGB or grey.

    A spec makes a subclass.
    """

    spec: ClassVar[Spec]
    ood_groups: ClassVar[Mapping[str, OODGroup]] = SYNTHETIC
    files = ()

    def read(self, part: SplitName) -> Split:
        return _read(find_class_folders(self.spec.path), part, self.spec)[0]

    def load(self, stream: Stream) -> DatasetArrays:
        found = find_class_folders(self.spec.path)
        read = {part: _read(found, part, self.spec) for part in found.files}
        splits = {part: split for part, (split, _) in read.items()}
        train, test = splits["train"], splits["test"]
        if "val" in splits:
            validation = splits["val"]
        else:
            train, validation = held_out(train, stream("split"))
        mean, std = statistics(train.x)
        if not all(std):
            raise BadData(f"{self.spec.path / 'train'}: a channel is the same in every pixel")
        transparent = sum(count for _, count in read.values())
        remarks = [f"{transparent} images are transparent; they lie on white"] * bool(transparent)
        remarks += duplicate_remarks(found, splits)
        return DatasetArrays(train, validation, test, {}, {}, None, mean, std, remarks)

    def identity(self) -> Any:
        """What of the files is seen without reading them, and how they are decoded."""
        files = contents_digest(self.spec.path, find_class_folders(self.spec.path).pictures)
        return [files, self.spec.width, self.spec.height, self.spec.colour]

    def check(self) -> None:
        check_signatures(find_class_folders(self.spec.path).pictures)

    def remarks(self) -> list[str]:
        return find_class_folders(self.spec.path).remarks()


@functools.cache
def folder_dataset(name: str) -> type[Folder]:
    """The dataset of a spec. Its layout is checked here; images are when they are loaded.

    Raises:
        UnknownDataset: the text is no spec, or there is no such folder.
        BadData: the folder's layout is wrong.
    """
    spec = parse(name)
    found = find_class_folders(spec.path)
    size = f"{spec.width}x{spec.height} {spec.colour}"
    attributes = {
        "__module__": __name__,
        "__doc__": Folder.__doc__,
        "name": name,
        "summary": f"images of {len(found.classes)} kinds, {size}",
        "source": f"the folder {spec.path}",
        "spec": spec,
        "shape": spec.shape,
        "outputs": len(found.classes),
        "classes": found.classes,
        "examples": found.examples,
        **_training(spec, found.examples),
    }
    return type("Folder", (Folder,), attributes)


def _training(spec: Spec, examples: int) -> dict[str, Any]:
    """Network, recipe and parameters: LeNet for small images that are not too many, else ResNet.

    LeNet's are those of mnist, with more epochs for fewer images; ResNet's those of cifar10, whose
    batches are made smaller for larger images, so that a step takes no more memory.
    """
    if max(spec.width, spec.height) > SMALL_SIDE or examples > SMALL_COUNT:
        pixels = spec.width * spec.height
        batch = CIFAR10.recipe["batch_size"] * SMALL_SIDE**2 // max(pixels, SMALL_SIDE**2)
        recipe = {**CIFAR10.recipe, "batch_size": max(batch, SMALLEST_BATCH)}
        return {"network": CIFAR10.network, "recipe": recipe, "defaults": CIFAR10.defaults}
    epochs = min(max(PASSES // examples, FEWEST_EPOCHS), MOST_EPOCHS)
    recipe = {**MNIST.recipe, "epochs": epochs}
    return {"network": MNIST.network, "recipe": recipe, "defaults": MNIST.defaults}


def parse(text: str) -> Spec:
    """The spec of a text; UnknownDataset if it is none.

    A folder's own name may end in brackets, too: they are options where they hold a = and the
    folder without them is there.
    """
    match = _SPEC.fullmatch(text)
    if match is None:
        raise UnknownDataset(f"{text!r} is not folder:PATH or folder:PATH[size=N,colour=rgb|grey]")
    path, options = _home(match["path"]), match["options"] or ""
    whole = _home(text.removeprefix("folder:"))
    if _is_there(whole) and not ("=" in options and _is_there(path)):
        path, options = whole, ""
    values = _options(text, options)
    if not _is_there(path):
        raise UnknownDataset(f"{text!r}: no folder {path}")
    return Spec(path, **values)


def _home(text: str) -> Path:
    """A path, from the home of a user where it begins with ~; as it is if there is no such user."""
    with contextlib.suppress(RuntimeError):
        return Path(text).expanduser()
    return Path(text)


def _is_there(folder: Path) -> bool:
    try:
        return folder.is_dir()
    except OSError:  # a name that is too long
        return False


def _options(text: str, options: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for option in filter(None, options.split(",")):
        key, _, value = (each.strip() for each in option.partition("="))
        size = _SIZE.fullmatch(value)
        sides = [int(side or size["width"]) for side in size.groups()] if size else []
        if key == "size" and sides and min(sides) >= SMALLEST:
            values |= {"width": sides[0], "height": sides[1]}
        elif key == "colour" and value in get_args(Colour):
            values[key] = value
        else:
            raise UnknownDataset(f"{text!r}: {option.strip()!r} is not {_EXPECTED}")
    return values


def _read(found: ClassFolders, part: str, spec: Spec) -> tuple[Split, int]:
    """A part of a folder, and how many of its pictures were transparent."""
    images, transparent = decoded_once(spec.path, found.of(part), spec.shape)
    labels = np.repeat(np.arange(len(found.classes)), found.counts(part))
    return Split(images, labels), int(transparent.sum())


def statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel over all pixels of [N, C, H, W], in [0, 1]."""
    values = np.arange(256) / 255
    means, deviations = [], []
    for channel in np.moveaxis(images, 1, 0):
        # A histogram of each image: one of all pixels would need them as 8-byte integers.
        counts = sum(np.bincount(image.ravel(), minlength=256) for image in channel)
        weights = counts / channel.size
        means.append(float(weights @ values))
        deviations.append(float(np.sqrt(weights @ (values - means[-1]) ** 2)))
    return tuple(means), tuple(deviations)
