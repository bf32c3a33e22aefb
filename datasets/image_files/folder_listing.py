"""What lies in folders of pictures: the pictures, what is skipped, what is refused."""

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
_FOLDERS = ("__MACOSX", "@eaDir")  # what archives and servers put beside pictures


@dataclass
class Faults:
    """What is wrong with files, told at once."""

    found: list[tuple[str, str]] = field(default_factory=list)

    def add(self, file: str | Path, reason: str) -> None:
        """A file can't be used."""
        self.found.append((os.fspath(file), reason))

    def refuse(self) -> None:
        """Raises BadData if there is anything; in one line, with the first few files."""
        if not self.found:
            return
        lines = [f"{file}: {reason}" for file, reason in self.found]
        text = lines[0] if len(lines) == 1 else f"{len(lines)} files: {shortened_list(lines)}"
        if any(reason.startswith(NOT_READ) for _, reason in self.found):
            text += f"; formats that are read: {', '.join(FORMATS)}"
        raise BadData(text)


@dataclass
class FolderListing:
    """A folder's pictures by name, and the names of files that were skipped."""

    pictures: list[Path] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, by name.

    Raises:
        BadData: the folder can't be read, or a name in it is no UTF-8.
    """
    try:
        with os.scandir(folder) as found:
            result = sorted(found, key=lambda entry: entry.name)
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
    """The names of folders in a folder, without hidden ones and those of archives.

    Raises:
        BadData: as `entries`.
    """
    return [each.name for each in entries(folder) if each.is_dir() and not _passed_over(each)]


def files_beside_folders(folder: Path) -> list[str]:
    """The names of files that lie beside the folders in a folder.

    Raises:
        BadData: as `entries`.
    """
    return [each.name for each in entries(folder) if not each.is_dir() or _passed_over(each)]


def _passed_over(entry: os.DirEntry[str]) -> bool:
    return entry.name.startswith(".") or (entry.name in _FOLDERS and entry.is_dir())


def list_images(folder: Path, faults: Faults) -> FolderListing:
    """The pictures in a folder; what else lies there is skipped, or a fault.

    Raises:
        BadData: as `entries`.
    """
    found = FolderListing()
    for entry in entries(folder):
        ending = _ending(entry.name)
        if _passed_over(entry):
            found.skipped.append(entry.name)
        elif entry.is_dir():
            faults.add(entry.path, "a folder where images are expected")
        elif not entry.is_file():
            there = Path(entry.path).exists()
            faults.add(entry.path, "not a regular file" if there else "a broken link")
        elif ending in UNREAD:
            faults.add(entry.path, f"{NOT_READ}: {ending}")
        elif ending in _ENDINGS:
            found.pictures.append(Path(entry.path))
        else:
            found.skipped.append(entry.name)
    return found


def _ending(name: str) -> str:
    """As `PurePath.suffix`, but for names like ".png"; in a fifth of the time."""
    stem, dot, end = name.rpartition(".")
    return f"{dot}{end}".lower() if stem and end else ""


def image_files(folder: Path) -> list[Path]:
    """The pictures in a folder, by name.

    Raises:
        BadData: as `entries`; there is none; or something that is neither read nor skipped.
    """
    faults = Faults()
    found = list_images(folder, faults)
    faults.refuse()
    if not found.pictures:
        raise BadData(
            f"{folder}: no images in it{'; ' * bool(found.skipped)}{skipped_summary(found.skipped)}"
        )
    return found.pictures


def skipped_summary(skipped: Sequence[str]) -> str:
    """How many files were skipped, and of which endings; empty if none were."""
    if not skipped:
        return ""
    kinds = Counter(PurePath(name).suffix.lower() or name for name in skipped)
    shown = shortened_list([f"{kind} ({count})" for kind, count in kinds.most_common()])
    if len(skipped) == 1:
        return f"1 file is skipped, since its name is not that of an image: {shown}"
    return f"{len(skipped)} files are skipped, since their names are not those of images: {shown}"


def contents_digest(root: Path, files: Iterable[Path]) -> str:
    """A digest of the files' names below the root, sizes and times of change."""
    digest = hashlib.sha256()
    for name, file in sorted((file.relative_to(root).as_posix(), file) for file in files):
        seen = file.stat()
        digest.update(f"{name}\0{seen.st_size}\0{seen.st_mtime_ns}\n".encode())
    return digest.hexdigest()
