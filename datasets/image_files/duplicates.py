"""Pictures that a folder has more than once, by what networks see of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from distillation_bench.datasets.base import Split
from distillation_bench.datasets.image_files.class_folders import ClassFolders

PAIRS = (("train", "test"), ("val", "test"), ("train", "val"))


def duplicate_remarks(found: ClassFolders, splits: Mapping[str, Split]) -> list[str]:
    """Lines that count the images of the same pixels in two parts, and those under two classes.

    Args:
        found: where the images come from.
        splits: by part, all its images in the order of the layout.
    """
    keys = {part: [*map(_digest, split.x)] for part, split in splits.items()}
    files = {part: [file.relative_to(found.root) for file in found.of(part)] for part in splits}
    lines = []
    for first, second in PAIRS:
        if first in splits and second in splits:
            known = dict(zip(keys[first], files[first], strict=True))
            pairs = zip(files[second], keys[second], strict=True)
            common = [(file, known[key]) for file, key in pairs if key in known]
            if common:
                what = f"{len(common)} of {len(keys[second])} images of {second}/ are in {first}/"
                lines.append(f"{what} too, such as {_and(*common[0])}")
    return lines + _under_two_classes(keys, files, splits)


def _digest(image: bytes) -> bytes:
    return hashlib.blake2b(image, digest_size=16).digest()


def _under_two_classes(
    keys: Mapping[str, list[bytes]],
    files: Mapping[str, list[Path]],
    splits: Mapping[str, Split],
) -> list[str]:
    first: dict[bytes, tuple[int, Path]] = {}
    clashes: dict[bytes, tuple[Path, Path]] = {}
    for part, split in splits.items():
        for key, file, label in zip(keys[part], files[part], split.y.tolist(), strict=True):
            known, place = first.setdefault(key, (label, file))
            if known != label:
                clashes.setdefault(key, (file, place))
    if not clashes:
        return []
    example = _and(*next(iter(clashes.values())))
    return [f"images under more than one class: {len(clashes)}, such as {example}"]


def _and(one: Path, other: Path) -> str:
    return f"{one.as_posix()} and {other.as_posix()}"
