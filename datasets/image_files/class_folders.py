"""Folders of class folders of pictures: train, test and perhaps validation."""

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
"""Folders that may hold the validation images; one of them."""
FEWEST = 10  # images, of which one can be held out


@dataclass(frozen=True)
class ClassFolders:
    """The pictures below a root.

    Attributes:
        root: the folder.
        classes: their names, in order.
        files: "train", "test" and perhaps "val" -> class -> its files, each by name.
        skipped: names of files that are no pictures.
    """

    root: Path
    classes: tuple[str, ...]
    files: Mapping[str, Mapping[str, Sequence[Path]]]
    skipped: tuple[str, ...]

    @property
    def pictures(self) -> Iterator[Path]:
        """All of them."""
        return itertools.chain.from_iterable(map(self.of, self.files))

    def of(self, part: str) -> list[Path]:
        """Those of a part, class by class."""
        return list(itertools.chain.from_iterable(self.files[part].values()))

    def counts(self, part: str) -> list[int]:
        """Pictures of each class in a part."""
        return [len(self.files[part][name]) for name in self.classes]

    @property
    def examples(self) -> int:
        """Pictures that are trained on."""
        counts = self.counts("train")
        return sum(counts) - (0 if "val" in self.files else held_out_count(counts))

    def remarks(self) -> list[str]:
        """What a user should know, seen without opening a file."""
        lines = [line for line in (skipped_summary(self.skipped),) if line]
        return lines + rare_classes({part: self.counts(part) for part in self.files}, self.classes)


def find_class_folders(root: Path) -> ClassFolders:
    """What lies below a root.

    Raises:
        BadData: no train or no test, fewer than two classes, a class without a training image,
            unknown classes, nothing to validate on, or files that are neither read nor skipped.
    """
    folders = _parts(root)
    classes = subfolders(folders["train"])
    if len(classes) < 2:
        raise BadData(f"{folders['train']}: needs at least two class folders")
    faults, skipped = Faults(), list[str]()
    files: dict[str, dict[str, list[Path]]] = {}
    for part, folder in folders.items():
        there = subfolders(folder)
        _check_classes(folder, there, classes)
        skipped += files_beside_folders(folder)
        files[part] = {}
        for name in classes:
            found = list_images(folder / name, faults) if name in there else None
            files[part][name] = found.pictures if found else []
            skipped += found.skipped if found else []
    result = ClassFolders(root, tuple(classes), files, tuple(skipped))
    if faults.found:
        # What else is wrong is told with it.
        find_faults(result.pictures, faults)
    faults.refuse()
    _check_counts(result, folders)
    return result


def _parts(root: Path) -> dict[str, Path]:
    """The folders of the parts."""
    for part in ("train", "test"):
        if not (root / part).is_dir():
            raise BadData(f"{root}: no folder {part}/ of class folders in it")
    validation = [root / name for name in VALIDATION if (root / name).is_dir()]
    if len(validation) > 1:
        names = " and ".join(f"{each.name}/" for each in validation)
        raise BadData(f"{root}: {names} are two validation sets; keep one")
    parts = {"train": root / "train", "test": root / "test"}
    return parts | dict(zip(["val"], validation, strict=False))


def _check_classes(folder: Path, there: Sequence[str], classes: Sequence[str]) -> None:
    unknown = sorted(set(there) - set(classes))
    if unknown:
        absent = sorted(set(classes) - set(there))
        hint = f"; of those it lacks {shortened_list(absent)}" if absent else ""
        raise BadData(f"{folder / unknown[0]}: no class of train/{hint}")


def _check_counts(found: ClassFolders, folders: Mapping[str, Path]) -> None:
    counts = found.counts("train")
    for name, count in zip(found.classes, counts, strict=True):
        if not count:
            raise BadData(f"{folders['train'] / name}: no images in it")
    for part, folder in folders.items():
        if not sum(found.counts(part)):
            raise BadData(f"{folder}: no images in it")
    if "val" in found.files:
        return
    if sum(counts) < FEWEST:
        raise BadData(f"{folders['train']}: fewer than {FEWEST} images and no val/ beside it")
    if not held_out_count(counts):
        raise BadData(f"{folders['train']}: no class of two images, and no val/ beside it")
