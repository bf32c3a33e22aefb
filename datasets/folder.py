"""The dataset `folder:PATH`: any folder of class folders of images."""

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

LEAST_SIDE = 8
"""The smallest width and height of images, in pixels."""
LEAST_BATCH = 16
LENET_SIDE, LENET_EXAMPLES = 32, 60_000
"""The largest width or height, and number of images, for which LeNet is the default."""
LENET_PASSES = 300_000
"""Images that LeNet sees in training, if that takes 20 to 100 epochs."""
LEAST_EPOCHS, MOST_EPOCHS = 20, 100
_SPEC = re.compile(r"folder:(?P<path>.+?)(?:\[(?P<options>[^\[\]]*)\])?", re.DOTALL)
_SIZE = re.compile(r"(?P<width>[0-9]{1,4})(?:x(?P<height>[0-9]{1,4}))?", re.ASCII)
_EXPECTED = f"size=N or size=WIDTHxHEIGHT (at least {LEAST_SIDE}) or colour=rgb|grey"


@dataclass(frozen=True)
class Spec:
    """The parts of folder:PATH[size=32,colour=rgb]."""

    path: Path
    width: int = 32
    height: int = 32
    colour: Colour = "rgb"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of an image, [C, H, W]."""
        return (3 if self.colour == "rgb" else 1, self.height, self.width)


class Folder(ImageDataset, unfinished=True):
    """Images PATH/train/CLASS/* and PATH/test/CLASS/*, validated on val/ or on a tenth of train/.

    Classes are numbered in the order of their names. Every image is rotated as its EXIF orientation
    says, put on white where it is transparent, scaled to width x height without regard to its
    proportions (bilinear), and converted to RGB or grey.

    `folder_dataset` makes a subclass for each spec.
    """

    spec: ClassVar[Spec]
    ood_groups: ClassVar[Mapping[str, OODGroup]] = SYNTHETIC
    files = ()

    def read(self, split: SplitName) -> Split:
        return _read(find_class_folders(self.spec.path), split, self.spec)[0]

    def load(self, stream: Stream) -> DatasetArrays:
        folders = find_class_folders(self.spec.path)
        read = {name: _read(folders, name, self.spec) for name in folders.files}
        splits = {name: split for name, (split, _) in read.items()}
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
        remarks += duplicate_remarks(folders, splits)
        return DatasetArrays(train, validation, test, {}, {}, None, mean, std, remarks)

    def identity(self) -> Any:
        """Return a digest of the files' names, sizes and times, and how they are decoded."""
        files = contents_digest(self.spec.path, find_class_folders(self.spec.path).images)
        return [files, self.spec.width, self.spec.height, self.spec.colour]

    def check(self) -> None:
        check_signatures(find_class_folders(self.spec.path).images)

    def remarks(self) -> list[str]:
        return find_class_folders(self.spec.path).remarks()


@functools.cache
def folder_dataset(name: str) -> type[Folder]:
    """Return the dataset class of a spec; checks the folder's layout, but does not read images.

    Raises:
        UnknownDataset: the text is not a spec, or there is no such folder.
        BadData: the folder's layout is wrong.
    """
    spec = parse_spec(name)
    folders = find_class_folders(spec.path)
    size = f"{spec.width}x{spec.height} {spec.colour}"
    attributes = {
        "__module__": __name__,
        "__doc__": Folder.__doc__,
        "name": name,
        "summary": f"images of {len(folders.classes)} kinds, {size}",
        "source": f"the folder {spec.path}",
        "spec": spec,
        "shape": spec.shape,
        "outputs": len(folders.classes),
        "classes": folders.classes,
        "examples": folders.examples,
        **_training_defaults(spec, folders.examples),
    }
    return type("Folder", (Folder,), attributes)


def _training_defaults(spec: Spec, examples: int) -> dict[str, Any]:
    """Return the attributes network, recipe and defaults.

    If images are small and not too many, they are those of mnist (LeNet), with more epochs for
    fewer images. Otherwise they are those of cifar10 (ResNet), with smaller batches for larger
    images, so that a step does not need more memory.
    """
    if max(spec.width, spec.height) > LENET_SIDE or examples > LENET_EXAMPLES:
        pixels = spec.width * spec.height
        batch = CIFAR10.recipe["batch_size"] * LENET_SIDE**2 // max(pixels, LENET_SIDE**2)
        recipe = {**CIFAR10.recipe, "batch_size": max(batch, LEAST_BATCH)}
        return {"network": CIFAR10.network, "recipe": recipe, "defaults": CIFAR10.defaults}
    epochs = min(max(LENET_PASSES // examples, LEAST_EPOCHS), MOST_EPOCHS)
    recipe = {**MNIST.recipe, "epochs": epochs}
    return {"network": MNIST.network, "recipe": recipe, "defaults": MNIST.defaults}


def parse_spec(text: str) -> Spec:
    """Return the spec of a text folder:PATH or folder:PATH[options].

    The name of a folder may end in brackets too. Brackets are options if they contain = and a
    folder without them exists.

    Raises:
        UnknownDataset: the text is not a spec, or there is no such folder.
    """
    match = _SPEC.fullmatch(text)
    if match is None:
        raise UnknownDataset(f"{text!r} is not folder:PATH or folder:PATH[size=N,colour=rgb|grey]")
    path, options = _expanded(match["path"]), match["options"] or ""
    with_brackets = _expanded(text.removeprefix("folder:"))
    if _is_folder(with_brackets) and not ("=" in options and _is_folder(path)):
        path, options = with_brackets, ""
    values = _options(text, options)
    if not _is_folder(path):
        raise UnknownDataset(f"{text!r}: no folder {path}")
    return Spec(path, **values)


def _expanded(text: str) -> Path:
    """Return a path with ~ replaced by the home of a user; unchanged if there is no such user."""
    with contextlib.suppress(RuntimeError):
        return Path(text).expanduser()
    return Path(text)


def _is_folder(folder: Path) -> bool:
    try:
        return folder.is_dir()
    except OSError:  # the name is too long
        return False


def _options(text: str, options: str) -> dict[str, Any]:
    """Return the fields of a spec that its options give; UnknownDataset if one is wrong."""
    values: dict[str, Any] = {}
    for option in filter(None, options.split(",")):
        key, _, value = (part.strip() for part in option.partition("="))
        size = _SIZE.fullmatch(value)
        sides = [int(side or size["width"]) for side in size.groups()] if size else []
        if key == "size" and sides and min(sides) >= LEAST_SIDE:
            values |= {"width": sides[0], "height": sides[1]}
        elif key == "colour" and value in get_args(Colour):
            values[key] = value
        else:
            raise UnknownDataset(f"{text!r}: {option.strip()!r} is not {_EXPECTED}")
    return values


def _read(folders: ClassFolders, split: str, spec: Spec) -> tuple[Split, int]:
    """Return a split of a folder, and how many of its images were transparent."""
    images, transparent = decoded_once(spec.path, folders.of(split), spec.shape)
    labels = np.repeat(np.arange(len(folders.classes)), folders.counts(split))
    return Split(images, labels), int(transparent.sum())


def statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel of images, as values in [0, 1].

    Args:
        images: [N, C, H, W] uint8.
    """
    values = np.arange(256) / 255
    means, deviations = [], []
    for channel in np.moveaxis(images, 1, 0):
        # One histogram per image, because bincount copies its input to 8-byte integers.
        counts = sum(np.bincount(image.ravel(), minlength=256) for image in channel)
        weights = counts / channel.size
        means.append(float(weights @ values))
        deviations.append(float(np.sqrt(weights @ (values - means[-1]) ** 2)))
    return tuple(means), tuple(deviations)
