"""Arrays by content: prepared data, teachers' weights and outputs, checkpoints.

An entry is a safetensors file and a JSON file with what the key was made of and the SHA-256 of
the arrays. The JSON comes last, so an entry without it never was; an entry whose sum is wrong
counts as missing and is made again. Nothing that is read can run code.

Files are mapped into memory, not read: processes that load the same entry share its pages.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock

from bench.files import atomic_file, write_atomically
from bench.fingerprint import digest

if TYPE_CHECKING:
    from torch import Tensor


class Damaged(Exception):
    """An entry is incomplete or was changed since it was written."""


def key_of(kind: str, content: Mapping[str, Any]) -> str:
    """The entry's name: its kind and 32 hexadecimal digits of the hash of its content."""
    return f"{kind}-{digest(content)[:32]}"


class Cache:
    """A folder of entries."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _paths(self, key: str) -> tuple[Path, Path]:
        return self.folder / f"{key}.safetensors", self.folder / f"{key}.json"

    def has(self, key: str) -> bool:
        """Whether an entry of the right size is there; its sum is not computed."""
        arrays, note = self._paths(key)
        try:
            return bool(arrays.stat().st_size == json.loads(note.read_bytes())["bytes"])
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def sound(self, key: str) -> bool:
        """Whether the entry is there and its sum is right."""
        try:
            self._verify(key)
        except Damaged:
            return False
        return True

    def save(self, key: str, arrays: Mapping[str, np.ndarray], note: Mapping[str, Any]) -> None:
        """Write an entry; a reader sees all of it or nothing."""
        from safetensors.numpy import save_file

        arrays_path, note_path = self._paths(key)
        with atomic_file(arrays_path) as part:
            save_file({name: np.asarray(array, order="C") for name, array in arrays.items()}, part)
            sums = {"bytes": part.stat().st_size, "sha256": _sum_of(part)}
        text = json.dumps({**sums, **note}, indent=1, sort_keys=True)
        write_atomically(note_path, text.encode())

    def load(self, key: str) -> dict[str, Tensor]:
        """The entry's arrays, mapped from the file: pages are private once written to.

        Raises:
            Damaged: it is missing, incomplete or changed.
        """
        from safetensors import SafetensorError, safe_open

        self._verify(key)
        try:
            with safe_open(self._paths(key)[0], framework="pt") as file:
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise Damaged(f"cache entry {key}: {error}") from None

    def read(self, key: str) -> tuple[bytes, bytes]:
        """An entry's two files as they are, to be written elsewhere.

        Raises:
            OSError: it is not there.
        """
        arrays, note = self._paths(key)
        return arrays.read_bytes(), note.read_bytes()

    def write(self, key: str, arrays: bytes, note: bytes) -> None:
        """Put an entry here that was read elsewhere."""
        arrays_path, note_path = self._paths(key)
        write_atomically(arrays_path, arrays)
        write_atomically(note_path, note)

    def lock(self, key: str) -> FileLock:
        """Held while an entry is made, so that runs that share the cache make it once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.folder / f"{key}.lock")

    def remove(self, key: str) -> None:
        """Remove an entry, if it is there."""
        for path in reversed(self._paths(key)):
            path.unlink(missing_ok=True)

    def note(self, key: str) -> dict[str, Any]:
        """What was saved beside the arrays; empty if there is no such entry."""
        try:
            note = json.loads(self._paths(key)[1].read_bytes())
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) else {}

    def _verify(self, key: str) -> None:
        try:
            found = _sum_of(self._paths(key)[0])
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise Damaged(f"cache entry {key}: {reason}") from None
        if found != self.note(key).get("sha256"):
            raise Damaged(f"cache entry {key}: its SHA-256 is not the one noted")


def _sum_of(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        OSError: it can't be read.
        ValueError: it is empty.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return hashlib.sha256(content).hexdigest()
