"""``folder:PATH``: any folder of class folders of images, as a dataset."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from datasets.base import BadData, Data, Group, Split, Stream, UnknownDataset
from datasets.cifar import CIFAR10
from datasets.images import SYNTHETIC, Images, Part, held_out
from datasets.mnist import MNIST
from datasets.pictures import contents, decoded_once, image_files, visible

Colour = Literal["rgb", "grey"]
Layout = dict[str, dict[str, list[Path]]]
"""train, test and perhaps val -> class -> its files, each by name."""

SMALLEST = 8
FEWEST = 10  # images, of which one can be held out
_SPEC = re.compile(r"folder:(?P<path>.+?)(?:\[(?P<options>[^\[\]]*)\])?")


@dataclass(frozen=True)
class Spec:
    """What the text folder:PATH[size=32,colour=rgb] asks for."""

    path: Path
    size: int = 32
    colour: Colour = "rgb"

    @property
    def shape(self) -> tuple[int, int, int]:
        """[C, H, W]."""
        return (3 if self.colour == "rgb" else 1, self.size, self.size)


class Folder(Images, unfinished=True):
    """Images PATH/train/CLASS/* and PATH/test/CLASS/*, validated on val/ or a tenth.

    Classes are numbered in the order of their names; hidden files are left out. Every image is
    scaled to size x size whatever its proportions (bilinear), and made RGB or grey.

    A spec makes a subclass. Its recipe is that of cifar10 for RGB and of mnist for grey.
    """

    spec: ClassVar[Spec]
    ood_groups: ClassVar[Mapping[str, Group]] = SYNTHETIC
    files = ()

    def read(self, part: Part) -> Split:
        return _read(layout(self.spec.path)[part], self.spec)

    def load(self, stream: Stream) -> Data:
        files = layout(self.spec.path)
        train, test = _read(files["train"], self.spec), _read(files["test"], self.spec)
        if "val" in files:
            validation = _read(files["val"], self.spec)
        else:
            train, validation = held_out(train, stream("split"))
        mean, std = statistics(train.x)
        if not all(std):
            raise BadData(f"{self.spec.path / 'train'}: a channel is the same in every pixel")
        return Data(train, validation, test, {}, {}, None, mean, std)

    def identity(self) -> Any:
        """What of the files is seen without reading them, and how they are decoded."""
        parts = layout(self.spec.path).values()
        files = [file for classes in parts for of_class in classes.values() for file in of_class]
        return [contents(self.spec.path, files), self.spec.size, self.spec.colour]


@functools.cache
def folder_dataset(name: str) -> type[Folder]:
    """The dataset of a spec. Its layout is checked here; images are when they are loaded.

    Raises:
        UnknownDataset: the text is no spec, or there is no such folder.
        BadData: the folder's layout is wrong.
    """
    spec = parse(name)
    files = layout(spec.path)
    images = sum(map(len, files["train"].values()))
    like: type[Images] = CIFAR10 if spec.colour == "rgb" else MNIST
    attributes = {
        "__module__": __name__,
        "__doc__": Folder.__doc__,
        "name": name,
        "summary": f"images of {len(files['train'])} kinds, {spec.size}x{spec.size} {spec.colour}",
        "source": f"the folder {spec.path}",
        "spec": spec,
        "shape": spec.shape,
        "outputs": len(files["train"]),
        "examples": images if "val" in files else images - images // 10,
        "network": like.network,
        "recipe": like.recipe,
        "defaults": like.defaults,
    }
    return type("Folder", (Folder,), attributes)


def parse(text: str) -> Spec:
    """The spec of a text; UnknownDataset if it is none."""
    match = _SPEC.fullmatch(text)
    if match is None:
        raise UnknownDataset(f"{text!r} is not folder:PATH or folder:PATH[size=N,colour=rgb|grey]")
    options: dict[str, Any] = {}
    for option in filter(None, (match["options"] or "").split(",")):
        key, _, value = (each.strip() for each in option.partition("="))
        if key == "size" and re.fullmatch("[0-9]{1,4}", value) and int(value) >= SMALLEST:
            options[key] = int(value)
        elif key == "colour" and value in get_args(Colour):
            options[key] = value
        else:
            expected = f"size=N (at least {SMALLEST}) or colour=rgb|grey"
            raise UnknownDataset(f"{text!r}: {option.strip()!r} is not {expected}")
    try:
        path = Path(match["path"]).expanduser()
    except RuntimeError:
        raise UnknownDataset(f"{text!r}: there is no such user") from None
    if not path.is_dir():
        raise UnknownDataset(f"{text!r}: no folder {path}")
    return Spec(path, **options)


def layout(root: Path) -> Layout:
    """The files below a root.

    Raises:
        BadData: no train or no test, fewer than two classes, an empty class, classes of test or
            val that are not those of train, or too few images to hold a tenth out.
    """
    for part in ("train", "test"):
        if not (root / part).is_dir():
            raise BadData(f"{root}: no folder {part}/ of class folders in it")
    parts = ["train", "test"] + ["val"] * (root / "val").is_dir()
    classes = {part: [e.name for e in visible(root / part) if e.is_dir()] for part in parts}
    if len(classes["train"]) < 2:
        raise BadData(f"{root / 'train'}: needs at least two class folders")
    for part in parts[1:]:
        for absent in sorted(set(classes["train"]) - set(classes[part])):
            raise BadData(f"{root / part}: no folder {absent}/, a class of train/")
        for unknown in sorted(set(classes[part]) - set(classes["train"])):
            raise BadData(f"{root / part / unknown}: no class of train/")
    files = {
        part: {name: image_files(root / part / name) for name in classes[part]} for part in parts
    }
    if "val" not in files and sum(map(len, files["train"].values())) < FEWEST:
        raise BadData(f"{root / 'train'}: fewer than {FEWEST} images and no val/ beside it")
    return files


def _read(classes: Mapping[str, list[Path]], spec: Spec) -> Split:
    files = [file for of_class in classes.values() for file in of_class]
    counts = [len(of_class) for of_class in classes.values()]
    return Split(
        decoded_once(spec.path, files, spec.shape), np.repeat(np.arange(len(counts)), counts)
    )


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
