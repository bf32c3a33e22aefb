"""Remarks about images that occur more than once, compared by their decoded pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from distillation_bench.datasets.base import Split
from distillation_bench.datasets.image_files.class_folders import ClassFolders

SPLIT_PAIRS = (("train", "test"), ("val", "test"), ("train", "val"))


def duplicate_remarks(folders: ClassFolders, splits: Mapping[str, Split]) -> list[str]:
    """Return lines that count images which are in two splits, or under two classes.

    Args:
        folders: where the images come from.
        splits: the images of each split, in the order of `folders`.
    """
    keys = {name: [*map(_digest, split.x)] for name, split in splits.items()}
    files = {name: [file.relative_to(folders.root) for file in folders.of(name)] for name in splits}
    lines = []
    for first, second in SPLIT_PAIRS:
        if first in splits and second in splits:
            file_of = dict(zip(keys[first], files[first], strict=True))
            pairs = zip(files[second], keys[second], strict=True)
            common = [(file, file_of[key]) for file, key in pairs if key in file_of]
            if common:
                count = f"{len(common)} of {len(keys[second])} images of {second}/ are in {first}/"
                lines.append(f"{count} too, such as {_and(*common[0])}")
    return lines + _under_two_classes(keys, files, splits)


def _digest(image: bytes) -> bytes:
    """Return a hash of the pixels of an image."""
    return hashlib.blake2b(image, digest_size=16).digest()


def _under_two_classes(
    keys: Mapping[str, list[bytes]],
    files: Mapping[str, list[Path]],
    splits: Mapping[str, Split],
) -> list[str]:
    """Return a line that counts images which are under more than one class, if there are any."""
    first: dict[bytes, tuple[int, Path]] = {}
    conflicts: dict[bytes, tuple[Path, Path]] = {}
    for name, split in splits.items():
        for key, file, label in zip(keys[name], files[name], split.y.tolist(), strict=True):
            first_label, first_file = first.setdefault(key, (label, file))
            if first_label != label:
                conflicts.setdefault(key, (file, first_file))
    if not conflicts:
        return []
    example = _and(*next(iter(conflicts.values())))
    return [f"images under more than one class: {len(conflicts)}, such as {example}"]


def _and(first: Path, second: Path) -> str:
    return f"{first.as_posix()} and {second.as_posix()}"
