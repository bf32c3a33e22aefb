"""Arrays by content: prepared data, teachers' weights and outputs.

An entry is a safetensors file and a JSON file with what the key was made of and the SHA-256 of
the arrays. The JSON comes last, so an entry without it never was; an entry whose sum is wrong
counts as missing and is made again. Nothing that is read can run code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from bench.files import write_atomically
from bench.fingerprint import digest


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
            self._bytes(key)
        except Damaged:
            return False
        return True

    def save(self, key: str, arrays: Mapping[str, np.ndarray], note: Mapping[str, Any]) -> None:
        """Write an entry; a reader sees all of it or nothing."""
        content = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
        sums = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        arrays_path, note_path = self._paths(key)
        write_atomically(arrays_path, content)
        text = json.dumps({**sums, **note}, indent=1, sort_keys=True)
        write_atomically(note_path, text.encode())

    def load(self, key: str) -> dict[str, np.ndarray]:
        """The entry's arrays.

        Raises:
            Damaged: it is missing, incomplete or changed.
        """
        arrays: dict[str, np.ndarray] = load(self._bytes(key))
        return arrays

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

    def _bytes(self, key: str) -> bytes:
        try:
            content = self._paths(key)[0].read_bytes()
        except OSError as error:
            raise Damaged(f"cache entry {key}: {error.strerror}") from None
        if hashlib.sha256(content).hexdigest() != self.note(key).get("sha256"):
            raise Damaged(f"cache entry {key}: its SHA-256 is not the one noted")
        return content
