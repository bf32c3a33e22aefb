"""The files of image folders: which are images, which are skipped, which are refused."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from distillation_bench.datasets.base import BadData
from distillation_bench.datasets.image_files.image_formats import FORMATS, NOT_READ, UNREAD
from distillation_bench.datasets.stratified_sampling import shortened_list

_ENDINGS = frozenset(ending for endings in FORMATS.values() for ending in endings) | {""}
_IGNORED_FOLDERS = ("__MACOSX", "@eaDir")
"""Folders that archives and file servers add."""


@dataclass
class Faults:
    """Files that can't be used, collected so that one message names all of them.

    Attributes:
        found: files and reasons.
    """

    found: list[tuple[str, str]] = field(default_factory=list)

    def add(self, file: str | Path, reason: str) -> None:
        """Add a file that can't be used."""
        self.found.append((os.fspath(file), reason))

    def refuse(self) -> None:
        """Raise BadData if there are faults; the message is one line with the first few files."""
        if not self.found:
            return
        lines = [f"{file}: {reason}" for file, reason in self.found]
        text = lines[0] if len(lines) == 1 else f"{len(lines)} files: {shortened_list(lines)}"
        if any(reason.startswith(NOT_READ) for _, reason in self.found):
            text += f"; formats that are read: {', '.join(FORMATS)}"
        raise BadData(text)


@dataclass
class FolderListing:
    """The images in a folder, ordered by name, and the names of skipped files."""

    images: list[Path] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries of a folder, ordered by name.

    Raises:
        BadData: the folder can't be read, or a name in it is not UTF-8.
    """
    try:
        with os.scandir(folder) as unordered:
            result = sorted(unordered, key=lambda entry: entry.name)
    except OSError as error:
        raise BadData(f"{folder}: {error.strerror}") from None
    for entry in result:
        if not _is_text(entry.name):
            raise BadData(f"{folder}: a name in it is no UTF-8: {os.fsencode(entry.name)!r}")
    return result


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def subfolders(folder: Path) -> list[str]:
    """Return the names of the folders in a folder, without hidden and ignored ones.

    Raises:
        BadData: as `entries`.
    """
    return [entry.name for entry in entries(folder) if entry.is_dir() and not _is_ignored(entry)]


def files_beside_folders(folder: Path) -> list[str]:
    """Return the names of the files in a folder of folders, and of its ignored folders.

    Raises:
        BadData: as `entries`.
    """
    return [entry.name for entry in entries(folder) if not entry.is_dir() or _is_ignored(entry)]


def _is_ignored(entry: os.DirEntry[str]) -> bool:
    return entry.name.startswith(".") or (entry.name in _IGNORED_FOLDERS and entry.is_dir())


def list_images(folder: Path, faults: Faults) -> FolderListing:
    """Return the images in a folder; add files that are neither read nor skipped to the faults.

    Raises:
        BadData: as `entries`.
    """
    listing = FolderListing()
    for entry in entries(folder):
        ending = _ending(entry.name)
        if _is_ignored(entry):
            listing.skipped.append(entry.name)
        elif entry.is_dir():
            faults.add(entry.path, "a folder where images are expected")
        elif not entry.is_file():
            exists = Path(entry.path).exists()
            faults.add(entry.path, "not a regular file" if exists else "a broken link")
        elif ending in UNREAD:
            faults.add(entry.path, f"{NOT_READ}: {ending}")
        elif ending in _ENDINGS:
            listing.images.append(Path(entry.path))
        else:
            listing.skipped.append(entry.name)
    return listing


def _ending(name: str) -> str:
    """Return the ending of a name in lower case; empty for names like ".png".

    This takes a fifth of the time of `PurePath.suffix`.
    """
    stem, dot, end = name.rpartition(".")
    return f"{dot}{end}".lower() if stem and end else ""


def image_files(folder: Path) -> list[Path]:
    """Return the images in a folder, ordered by name.

    Raises:
        BadData: as `entries`; there are no images; or files are neither read nor skipped.
    """
    faults = Faults()
    listing = list_images(folder, faults)
    faults.refuse()
    if not listing.images:
        skipped = skipped_summary(listing.skipped)
        raise BadData(f"{folder}: no images in it{'; ' * bool(skipped)}{skipped}")
    return listing.images


def skipped_summary(skipped: Sequence[str]) -> str:
    """Return a line with the number and the endings of skipped files; empty if there are none."""
    if not skipped:
        return ""
    kinds = Counter(PurePath(name).suffix.lower() or name for name in skipped)
    shown = shortened_list([f"{kind} ({count})" for kind, count in kinds.most_common()])
    if len(skipped) == 1:
        return f"1 file is skipped, since its name is not that of an image: {shown}"
    return f"{len(skipped)} files are skipped, since their names are not those of images: {shown}"


def contents_digest(root: Path, files: Iterable[Path]) -> str:
    """Return a digest of the files' names relative to the root, sizes and modification times."""
    digest = hashlib.sha256()
    for name, file in sorted((file.relative_to(root).as_posix(), file) for file in files):
        status = file.stat()
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
