"""The cache: arrays by content, such as prepared data, teachers, their outputs, and checkpoints.

An entry is a safetensors file and a JSON file. The JSON says what the key was made of, and holds
the SHA-256 of the arrays and a checksum of itself. It is written last, so without it there is no
entry. An entry whose checksum is wrong counts as missing and is made again; so does one that has a
link or a pipe in the place of a file. Nothing that is read can run code.

Files are mapped into memory, not read: processes that load the same entry share its pages.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import mmap
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from distillation_bench.bench.common.errors import CacheFault
from distillation_bench.bench.common.files import (
    atomic_file,
    open_regular,
    read_regular,
    write_atomically,
)
from distillation_bench.bench.common.hashing import digest
from distillation_bench.bench.common.locks import acquire
from distillation_bench.bench.storage.formats.tensor_files import LazyArray, write_tensors

if TYPE_CHECKING:
    from torch import Tensor

_KEY = re.compile(r"(?!\.+$)[\w.+-]{1,240}")
_SUM = "sum"
"""The note's checksum. Names are sorted: a note cut before it also lacks the arrays' checksum."""
_ABSENT_ERRORS = {
    *(errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO),
    *(errno.EINVAL, errno.EFBIG, errno.ENAMETOOLONG),
}


class DamagedEntry(Exception):
    """An entry is missing, incomplete, or was changed since it was written."""


def entry_key(kind: str, content: Mapping[str, Any]) -> str:
    """Return an entry's key: its kind and 32 hexadecimal digits of a hash of its content."""
    return f"{kind}-{digest(content)[:32]}"


class Cache:
    """A folder of entries."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _paths(self, key: str) -> tuple[Path, Path]:
        # A run names its teachers, and a run may come from a stranger.
        if not _KEY.fullmatch(key):
            raise ValueError("not the key of an entry")
        return self.folder / f"{key}.safetensors", self.folder / f"{key}.json"

    def has(self, key: str) -> bool:
        """Whether there is an entry of the right size; its checksum is not computed."""
        return self._note_of_right_size(key) is not None

    def _note_of_right_size(self, key: str) -> dict[str, Any] | None:
        try:
            # Checked first, since most requested entries do not exist.
            size = self._paths(key)[0].lstat().st_size
        except ValueError:
            return None
        except OSError as error:
            _require_absent(error)
            return None
        note = self.note(key)
        return note if size == note.get("bytes") else None

    def is_sound(self, key: str) -> bool:
        """Whether there is an entry and its checksum is right."""
        try:
            self._verify(key)
        except DamagedEntry:
            return False
        return True

    def save(
        self, key: str, arrays: Mapping[str, np.ndarray | LazyArray], note: Mapping[str, Any]
    ) -> None:
        """Write an entry; a reader sees all of it or nothing.

        Args:
            key: of the entry.
            arrays: by name.
            note: what is kept beside them.

        Raises:
            CacheFault: it cannot be written.
        """
        arrays_path, note_path = self._paths(key)
        with _faults_of(arrays_path), atomic_file(arrays_path) as part:
            with part.open("wb") as file:
                write_tensors(file, arrays)
            checksums = {"bytes": part.stat().st_size, "sha256": _file_checksum(part, self.folder)}
        content = {**checksums, **note}
        sealed = {**content, _SUM: _note_checksum(key, content)}
        text = json.dumps(sealed, indent=1, sort_keys=True)
        with _faults_of(note_path):
            write_atomically(note_path, text.encode())

    def load(self, key: str) -> dict[str, Tensor]:
        """Return an entry's arrays, mapped from the file; pages become private when written to.

        Raises:
            DamagedEntry: it is missing, incomplete or changed.
        """
        from safetensors import SafetensorError, safe_open

        self._verify(key)
        try:
            with safe_open(self._paths(key)[0], framework="pt") as file:
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, ValueError, RuntimeError, TypeError) as error:
            # The checksum is right: whoever wrote the file wrote no arrays.
            raise DamagedEntry(f"cache entry {key}: {error}") from None

    def read(self, key: str) -> tuple[bytes, bytes]:
        """Return the content of an entry's two files, to be written elsewhere.

        Raises:
            OSError: there is no such entry.
        """
        arrays, note = self._paths(key)
        with open_regular(arrays, self.folder) as file:
            return file.read(), read_regular(note, self.folder)

    def write(self, key: str, arrays: bytes, note: bytes) -> None:
        """Write an entry that was read elsewhere.

        Raises:
            CacheFault: it cannot be written.
        """
        for path, content in zip(self._paths(key), (arrays, note), strict=True):
            with _faults_of(path):
                write_atomically(path, content)

    @contextlib.contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Hold a lock while an entry is made, so that runs that share the cache make it once.

        Raises:
            CacheFault: the lock cannot be taken.
        """
        path = self.folder / f"{key}.lock"
        with _faults_of(path):
            self.folder.mkdir(parents=True, exist_ok=True)
            release = acquire(path)
        try:
            yield
        finally:
            release()

    def remove(self, key: str) -> None:
        """Remove an entry, if it is there."""
        for path in reversed(self._paths(key)):
            with _faults_of(path), contextlib.suppress(PermissionError):
                # Another user's entry may stay: it does no harm, and its owner can remove it.
                path.unlink(missing_ok=True)

    def note(self, key: str) -> dict[str, Any]:
        """Return what was saved beside the arrays; empty if there is no entry or it was changed."""
        try:
            note = json.loads(read_regular(self._paths(key)[1], self.folder).decode())
            # Older versions wrote no checksum of the note.
            checksum = note.pop(_SUM, None) if isinstance(note, dict) else ""
            return note if checksum in (None, _note_checksum(key, note)) else {}
        except OSError as error:
            _require_absent(error)
            return {}
        except (ValueError, RecursionError):
            return {}

    def _verify(self, key: str) -> None:
        # Checked before gigabytes are read.
        note = self._note_of_right_size(key)
        if note is None:
            raise DamagedEntry(f"cache entry {key}: missing, or its size is not the recorded one")
        try:
            checksum = _file_checksum(self._paths(key)[0], self.folder)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError):
                _require_absent(error)
            reason = getattr(error, "strerror", None) or error
            raise DamagedEntry(f"cache entry {key}: {reason}") from None
        if checksum != note.get("sha256"):
            raise DamagedEntry(f"cache entry {key}: its SHA-256 is wrong")


def _require_absent(error: OSError) -> None:
    """Check that an error means that there is no such file, or that it is not a regular file.

    Raises:
        CacheFault: the file may be there and sound, but cannot be read here.
    """
    if error.errno not in _ABSENT_ERRORS:
        raise CacheFault(error.errno, error.strerror, error.filename) from None


@contextlib.contextmanager
def _faults_of(path: Path) -> Iterator[None]:
    """Turn each OSError into a CacheFault."""
    try:
        yield
    except OSError as error:
        raise CacheFault(error.errno, error.strerror, error.filename or str(path)) from error


def _note_checksum(key: str, note: Any) -> str:
    # The key is hashed, too: an entry that was renamed to another key does not count.
    text = json.dumps([key, note], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _file_checksum(path: Path, folder: Path) -> str:
    """Return the SHA-256 of a file in a folder.

    Raises:
        OSError: it cannot be read.
        ValueError: it is empty.
    """
    with (
        open_regular(path, folder) as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return hashlib.sha256(content).hexdigest()
