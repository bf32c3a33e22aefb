"""Arrays by content: prepared data, teachers' weights and outputs, checkpoints.

An entry is a safetensors file and a JSON file with what the key was made of, the SHA-256 of the
arrays and one of itself. The JSON comes last, so an entry without it never was; an entry whose sum
is wrong counts as missing and is made again, as does one with a link or a pipe in a file's place.
Nothing that is read can run code.

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
from distillation_bench.bench.storage.formats.tensor_files import Later, write_tensors

if TYPE_CHECKING:
    from torch import Tensor

_KEY = re.compile(r"(?!\.+$)[\w.+-]{1,240}")
# Of the note, less itself. Names are sorted: what is lost together with it is the arrays' sum, too.
_SUM = "sum"
_ABSENT = {
    *(errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO),
    *(errno.EINVAL, errno.EFBIG, errno.ENAMETOOLONG),
}


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
        # A run names its teachers, and a run may come from a stranger.
        if not _KEY.fullmatch(key):
            raise ValueError("no key of an entry")
        return self.folder / f"{key}.safetensors", self.folder / f"{key}.json"

    def has(self, key: str) -> bool:
        """Whether an entry of the right size is there; its sum is not computed."""
        return self._noted(key) is not None

    def _noted(self, key: str) -> dict[str, Any] | None:
        """The note of an entry of the right size; None if there is none."""
        try:
            # First: most of what is asked for is not there.
            size = self._paths(key)[0].lstat().st_size
        except ValueError:
            return None
        except OSError as error:
            _require_absent(error)
            return None
        note = self.note(key)
        return note if size == note.get("bytes") else None

    def sound(self, key: str) -> bool:
        """Whether the entry is there and its sum is right."""
        try:
            self._verify(key)
        except Damaged:
            return False
        return True

    def save(
        self, key: str, arrays: Mapping[str, np.ndarray | Later], note: Mapping[str, Any]
    ) -> None:
        """Write an entry; a reader sees all of it or nothing.

        Raises:
            CacheFault: it can't be written.
        """
        arrays_path, note_path = self._paths(key)
        with _faults(arrays_path), atomic_file(arrays_path) as part:
            with part.open("wb") as file:
                write_tensors(file, arrays)
            sums = {"bytes": part.stat().st_size, "sha256": _sum_of(part, self.folder)}
        whole = {**sums, **note}
        text = json.dumps({**whole, _SUM: _sum_of_note(key, whole)}, indent=1, sort_keys=True)
        with _faults(note_path):
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
        except (SafetensorError, OSError, ValueError, RuntimeError, TypeError) as error:
            # The sum is right: whoever wrote it wrote no arrays.
            raise Damaged(f"cache entry {key}: {error}") from None

    def read(self, key: str) -> tuple[bytes, bytes]:
        """An entry's two files as they are, to be written elsewhere.

        Raises:
            OSError: it is not there.
        """
        arrays, note = self._paths(key)
        with open_regular(arrays, self.folder) as file:
            return file.read(), read_regular(note, self.folder)

    def write(self, key: str, arrays: bytes, note: bytes) -> None:
        """Put an entry here that was read elsewhere.

        Raises:
            CacheFault: it can't be written.
        """
        for path, content in zip(self._paths(key), (arrays, note), strict=True):
            with _faults(path):
                write_atomically(path, content)

    @contextlib.contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Held while an entry is made, so that runs that share the cache make it once.

        Raises:
            CacheFault: it can't be taken.
        """
        path = self.folder / f"{key}.lock"
        with _faults(path):
            self.folder.mkdir(parents=True, exist_ok=True)
            release = acquire(path)
        try:
            yield
        finally:
            release()

    def remove(self, key: str) -> None:
        """Remove an entry, if it is there."""
        for path in reversed(self._paths(key)):
            with _faults(path), contextlib.suppress(PermissionError):
                # Another user's may stay: where each removes their own it does no harm.
                path.unlink(missing_ok=True)

    def note(self, key: str) -> dict[str, Any]:
        """What was saved beside the arrays; empty if there is no such entry, or it was changed."""
        try:
            note = json.loads(read_regular(self._paths(key)[1], self.folder).decode())
            # Older versions kept no sum of it.
            told = note.pop(_SUM, None) if isinstance(note, dict) else ""
            return note if told in (None, _sum_of_note(key, note)) else {}
        except OSError as error:
            _require_absent(error)
            return {}
        except (ValueError, RecursionError):
            return {}

    def _verify(self, key: str) -> None:
        # Before gigabytes are read.
        note = self._noted(key)
        if note is None:
            raise Damaged(f"cache entry {key}: missing, or not of the size noted")
        try:
            found = _sum_of(self._paths(key)[0], self.folder)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError):
                _require_absent(error)
            reason = getattr(error, "strerror", None) or error
            raise Damaged(f"cache entry {key}: {reason}") from None
        if found != note.get("sha256"):
            raise Damaged(f"cache entry {key}: its SHA-256 is not the one noted")


def _require_absent(error: OSError) -> None:
    """Whether a file is only missing, or of no kind that is read.

    Raises:
        CacheFault: it may be there and sound, and can't be read here.
    """
    if error.errno not in _ABSENT:
        raise CacheFault(error.errno, error.strerror, error.filename) from None


@contextlib.contextmanager
def _faults(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or str(path)
        raise CacheFault(error.errno, error.strerror, where) from error


def _sum_of_note(key: str, note: Any) -> str:
    # With the key: an entry under another one's name is none.
    text = json.dumps([key, note], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _sum_of(path: Path, folder: Path) -> str:
    """SHA-256 of a file in a folder.

    Raises:
        OSError: it can't be read.
        ValueError: it is empty.
    """
    with (
        open_regular(path, folder) as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return hashlib.sha256(content).hexdigest()
