"""Folders that hold train/, test/ and perhaps val/, with a folder of images for each class."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from distillation_bench.datasets.base import BadData
from distillation_bench.datasets.image_files.folder_listing import (
    Faults,
    files_beside_folders,
    list_images,
    skipped_summary,
    subfolders,
)
from distillation_bench.datasets.image_files.image_dataset import held_out_count
from distillation_bench.datasets.image_files.image_decoding import find_faults
from distillation_bench.datasets.stratified_sampling import rare_classes, shortened_list

VALIDATION = ("val", "valid", "validation")
"""Names of the folder of validation images, of which one may exist."""
LEAST_IMAGES = 10
"""The least number of training images of which one can be held out for validation."""


@dataclass(frozen=True)
class ClassFolders:
    """The images below a folder.

    Attributes:
        root: the folder.
        classes: names of the classes, in order.
        files: the files of each class, ordered by name, for "train", "test" and perhaps "val".
        skipped: names of files that are not images.
    """

    root: Path
    classes: tuple[str, ...]
    files: Mapping[str, Mapping[str, Sequence[Path]]]
    skipped: tuple[str, ...]

    @property
    def images(self) -> Iterator[Path]:
        """All images."""
        return itertools.chain.from_iterable(map(self.of, self.files))

    def of(self, split: str) -> list[Path]:
        """Return the images of a split, class by class."""
        return list(itertools.chain.from_iterable(self.files[split].values()))

    def counts(self, split: str) -> list[int]:
        """Return the number of images of each class in a split."""
        return [len(self.files[split][name]) for name in self.classes]

    @property
    def examples(self) -> int:
        """Number of training examples, without those that are held out."""
        counts = self.counts("train")
        return sum(counts) - (0 if "val" in self.files else held_out_count(counts))

    def remarks(self) -> list[str]:
        """Return lines about the files that a user should know, found without opening one."""
        lines = [line for line in (skipped_summary(self.skipped),) if line]
        return lines + rare_classes({name: self.counts(name) for name in self.files}, self.classes)


def find_class_folders(root: Path) -> ClassFolders:
    """Find the images below a folder.

    Raises:
        BadData: train/ or test/ is missing, there are fewer than two classes, a class has no
            training image or is unknown, there are too few images to validate on, or some files
            can't be used.
    """
    folders = _split_folders(root)
    classes = subfolders(folders["train"])
    if len(classes) < 2:
        raise BadData(f"{folders['train']}: needs at least two class folders")
    faults, skipped = Faults(), list[str]()
    files: dict[str, dict[str, list[Path]]] = {}
    for split, folder in folders.items():
        names = subfolders(folder)
        _check_classes(folder, names, classes)
        skipped += files_beside_folders(folder)
        listings = {name: list_images(folder / name, faults) for name in classes if name in names}
        files[split] = {name: listings[name].images if name in names else [] for name in classes}
        for listing in listings.values():
            skipped += listing.skipped
    result = ClassFolders(root, tuple(classes), files, tuple(skipped))
    if faults.found:
        # Report what else is wrong in the same message.
        find_faults(result.images, faults)
    faults.refuse()
    _check_counts(result, folders)
    return result


def _split_folders(root: Path) -> dict[str, Path]:
    """Return the folders of the splits "train", "test" and, if there is one, "val"."""
    for name in ("train", "test"):
        if not (root / name).is_dir():
            raise BadData(f"{root}: no folder {name}/ of class folders in it")
    validation = [root / name for name in VALIDATION if (root / name).is_dir()]
    if len(validation) > 1:
        names = " and ".join(f"{folder.name}/" for folder in validation)
        raise BadData(f"{root}: {names} are two validation sets; keep one")
    folders = {"train": root / "train", "test": root / "test"}
    return folders | dict(zip(["val"], validation, strict=False))


def _check_classes(folder: Path, names: Sequence[str], classes: Sequence[str]) -> None:
    """Raise BadData if a folder has class folders that train/ has not."""
    unknown = sorted(set(names) - set(classes))
    if unknown:
        absent = sorted(set(classes) - set(names))
        hint = f"; of those it lacks {shortened_list(absent)}" if absent else ""
        raise BadData(f"{folder / unknown[0]}: no class of train/{hint}")


def _check_counts(found: ClassFolders, folders: Mapping[str, Path]) -> None:
    """Raise BadData if a class has no training image, or a split has too few images."""
    counts = found.counts("train")
    for name, count in zip(found.classes, counts, strict=True):
        if not count:
            raise BadData(f"{folders['train'] / name}: no images in it")
    for split, folder in folders.items():
        if not sum(found.counts(split)):
            raise BadData(f"{folder}: no images in it")
    if "val" in found.files:
        return
    if sum(counts) < LEAST_IMAGES:
        raise BadData(f"{folders['train']}: fewer than {LEAST_IMAGES} images and no val/ beside it")
    if not held_out_count(counts):
        raise BadData(f"{folders['train']}: no class of two images, and no val/ beside it")
