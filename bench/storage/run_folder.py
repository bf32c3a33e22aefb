"""A run's folder: what was asked for, and the record of each finished cell.

    run.json                       cells, recipes, metrics, the last command
    cells/<id>.json                the record of a cell
    cells/<id>/history.csv         its training, one row per epoch
    cells/<id>/curves.safetensors  the arrays that its plots are made from
    *.csv                          tables of all records (bench/storage/tables.py)

A record is written once, by the process that drives the run, before its cell counts as finished.

A run may come from a stranger: its folder may be a link, but no link within it is followed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.files import (
    MAX_BYTES,
    make_folder,
    read_regular,
    write_all_atomically,
    write_atomically,
)
from distillation_bench.bench.common.hashing import canonical_json
from distillation_bench.bench.common.text import terminal_safe
from distillation_bench.bench.storage.formats.cell_files import parse_curves, parse_history
from distillation_bench.bench.storage.formats.csv_files import as_csv
from distillation_bench.bench.storage.formats.json_files import (
    MANIFEST_CHECKSUM,
    RECORD_CHECKSUM,
    encodable,
)
from distillation_bench.bench.storage.formats.limits import is_cell_id
from distillation_bench.bench.storage.formats.older_formats import FORMAT
from distillation_bench.bench.storage.formats.schema import parse_manifest, parse_record
from distillation_bench.bench.storage.formats.write_checks import write_check
from distillation_bench.bench.storage.run_lock import driver_of, locked

if TYPE_CHECKING:
    import numpy as np

Record = dict[str, Any]
"""As `formats.schema.RecordModel`."""
CellEntry = Mapping[str, Any]
"""A cell as run.json describes it."""


class DamagedFile(UsageError):
    """A file that is missing, or does not hold what was written.

    Attributes:
        path: of the file.
        reason: what is wrong with it.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class CellPaths(NamedTuple):
    """Where the files of a cell are; its record says which of the others there have to be."""

    record: Path
    folder: Path
    history: Path
    curves: Path


class Run:
    """A run's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cells = folder / "cells"

    # What was asked for

    def manifest(self) -> dict[str, Any]:
        """Return what run.json holds; empty if there is none yet.

        Raises:
            UsageError: it cannot be read.
        """
        path = self.folder / "run.json"
        if self.cells.is_symlink():
            raise UsageError(f"{self.cells}: a link; a run must hold its cells itself")
        try:
            return parse_manifest(self.read(path))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise UsageError(f"{path}: can't be read ({error.strerror})") from None
        except ValueError as error:
            raise UsageError(f"{path}: {error}") from None

    def existing_manifest(self) -> dict[str, Any]:
        """Return what run.json holds.

        Raises:
            UsageError: the folder is not a run.
        """
        if not self.folder.is_dir():
            what = "not a folder" if self.folder.exists() else "no such folder"
            raise UsageError(f"{self.folder}: {what}")
        manifest = self.manifest()
        if not manifest:
            raise UsageError(f"{self.folder}: not a run (it has no run.json)")
        return manifest

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Replace run.json if its content changes, since tables are out of date if it is newer.

        Raises:
            InvalidContent: no command could read it.
        """
        path, content = self.folder / "run.json", self.encode_manifest(manifest)
        with contextlib.suppress(OSError):
            if self.read(path) == content:
                return
        write_atomically(path, content)

    def encode_manifest(self, manifest: Mapping[str, Any]) -> bytes:
        """Return the content of run.json.

        Raises:
            InvalidContent: no command could read it.
        """
        with write_check(self.folder / "run.json"):
            text = json.dumps(encodable(manifest), indent=1, sort_keys=True, allow_nan=False)
            content = MANIFEST_CHECKSUM.append(text.encode())
            _check_readable(content, parse_manifest)
        return content

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """Return a context in which no other process writes to the folder.

        Raises:
            UsageError: another process holds the lock, or the folder cannot be written.
        """
        return locked(self.folder)

    def driver(self) -> str:
        """Return the process that holds the folder's lock, in words; empty if none does."""
        return driver_of(self.folder)

    def read(self, path: Path) -> bytes:
        """Return the content of a file in the folder.

        Raises:
            OSError: it cannot be read, or is not a regular file of the folder.
        """
        return read_regular(path, self.folder)

    # Records

    def paths(self, cell_id: str) -> CellPaths:
        """Return where the files of a cell are, or would be."""
        folder = self.cells / cell_id
        record = self._record_path(cell_id)
        return CellPaths(record, folder, folder / "history.csv", folder / "curves.safetensors")

    def _record_path(self, cell_id: str) -> Path:
        return self.cells / f"{cell_id}.json"

    def record_ids(self) -> list[str]:
        """Return the ids of all records, also of those not asked for and of damaged ones."""
        return sorted(path.stem for path in self.cells.glob("*.json") if is_cell_id(path.stem))

    def missing(self, cell_ids: Iterable[str]) -> list[str]:
        """Return the ids of those cells that have no record."""
        return [cell_id for cell_id in cell_ids if not self._record_path(cell_id).exists()]

    def record(self, cell_id: str) -> Record | None:
        """Return a cell's record; None if it has none or a damaged one."""
        try:
            return self.read_record(cell_id)
        except DamagedFile:
            return None

    def read_record(self, cell_id: str) -> Record:
        """Return a cell's record.

        Raises:
            DamagedFile: why it cannot be used.
        """
        path = self._record_path(cell_id)
        try:
            return parse_record(self.read(path), cell_id)
        except OSError as error:
            raise DamagedFile(path, f"can't be read ({error.strerror})") from None
        except ValueError as error:
            raise DamagedFile(path, str(error)) from None

    def has_damaged_record(self, cell_id: str) -> bool:
        """Whether a cell has a record that cannot be read."""
        return self._record_path(cell_id).exists() and self.record(cell_id) is None

    def cell_file(self, record: Record, name: str) -> bytes:
        """Return the `history` or `curves` of a record as written; empty if the cell has none.

        Raises:
            DamagedFile: the file is missing, or does not match the record's checksum.
        """
        path: Path = getattr(self.paths(record["id"]), name)
        try:
            content = self.read(path)
        except FileNotFoundError:
            content = b""
        except OSError as error:
            raise DamagedFile(path, f"can't be read ({error.strerror})") from None
        # Older versions wrote no checksum of the history.
        noted = record.get(name)
        if noted is not None and noted != _checksum(content):
            damage = "damaged: its SHA-256 is wrong" if noted else "belongs to no record"
            raise DamagedFile(path, damage if content else "missing or empty")
        return content

    def history(self, record: Record) -> list[dict[str, str]]:
        """Return a cell's training, one row per epoch; empty if it has none.

        Raises:
            DamagedFile: the file is missing, was changed, or is not a history.
        """
        content = self.cell_file(record, "history")
        try:
            return parse_history(content)
        except ValueError as error:
            raise DamagedFile(self.paths(record["id"]).history, str(error)) from None

    def curves(self, record: Record) -> dict[str, np.ndarray]:
        """Return a cell's arrays by name; empty if they are missing or were changed."""
        try:
            return parse_curves(self.cell_file(record, "curves"))
        except (DamagedFile, ValueError):
            return {}

    # Writing records

    def write_record(
        self,
        record: Mapping[str, Any],
        history: Sequence[Mapping[str, Any]] = (),
        curves: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Write a cell's history and curves, then its record, in the place of earlier ones.

        Raises:
            InvalidContent: no command could read one of them; the earlier ones stay.
        """
        paths = self.paths(str(record["id"]))
        with write_check(paths.history):
            history_content = _encode_history(history)
        with write_check(paths.curves):
            curves_content = _encode_curves(curves or {})
        sums = {"history": _checksum(history_content), "curves": _checksum(curves_content)}
        with write_check(paths.record):
            content = _encode_record({"format": FORMAT, **record, **sums})
        contents = {
            paths.history: history_content,
            paths.curves: curves_content,
            paths.record: content,
        }
        for path in contents:
            self._make_room(path, contents[path])
        write_all_atomically({path: content for path, content in contents.items() if content})

    def write_cell_file(self, path: Path, content: bytes) -> None:
        """Replace a file beside a record, or the link in its place; remove it without content."""
        self._make_room(path, content)
        if content:
            write_atomically(path, content)

    def _make_room(self, path: Path, content: bytes) -> None:
        """Make the folder of a cell's file; remove the file if it has no content now."""
        make_folder(self.cells, self.folder)
        if content:
            make_folder(path.parent, self.folder)
        elif not path.parent.is_symlink():
            path.unlink(missing_ok=True)


def _encode_record(record: Mapping[str, Any]) -> bytes:
    content = RECORD_CHECKSUM.append(canonical_json(encodable(record)).encode())
    _check_readable(content, partial(parse_record, cell_id=str(record["id"])))
    return content


def _encode_history(history: Sequence[Mapping[str, Any]]) -> bytes:
    names = list(dict.fromkeys(name for row in history for name in row))
    content = as_csv(names, encodable(history)) if history else b""
    parse_history(content)
    return content


def _encode_curves(curves: Mapping[str, np.ndarray]) -> bytes:
    from safetensors.numpy import save

    content = save(dict(curves)) if curves else b""
    parse_curves(content)
    return content


def _check_readable(content: bytes, parse: Callable[[bytes], object]) -> None:
    parse(content)
    if len(content) > MAX_BYTES:
        raise ValueError("too large")


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest() if content else ""


class CellStatus(NamedTuple):
    """How a cell ended.

    Attributes:
        status: one of STATUSES.
        reason: why a cell failed or was skipped; else empty.
        seconds: that the cell took; 0 if it was not run.
    """

    status: str
    reason: str = ""
    seconds: float = 0.0


MISSING = CellStatus("missing")


def cell_status(record: Record | None) -> CellStatus:
    """Return the status of a cell with this record; a cell without one is missing."""
    if record is None:
        return MISSING
    seconds = float(record["timings"].get("seconds", 0.0))
    return CellStatus(record["status"], record["reason"], seconds)


def cell_name(cell: Mapping[str, Any]) -> str:
    """Return what messages call a cell: `spiral kd seed 0`."""
    return terminal_safe(f"{cell['dataset']} {cell['label']} seed {cell['seed']}")
