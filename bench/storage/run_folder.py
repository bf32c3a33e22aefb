"""The run's folder: what was asked for, and a record a finished cell.

    run.json                what was asked for: cells, recipes, metrics, the last command
    cells/<id>.json         the record of a cell
    cells/<id>/history.csv  its training, a row an epoch
    cells/<id>/curves.safetensors  what its figures are drawn from (bench/training/evaluation)
    *.csv                   tables of all records (bench/storage/tables.py)

Records are written once, by the driver, before a cell counts as finished.

A run may come from a stranger: its folder may be a link, what is in it may not.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from filelock import Timeout

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.files import (
    make_folder,
    new_folder,
    read_regular,
    write_all_atomically,
    write_atomically,
)
from distillation_bench.bench.common.hashing import canonical_json
from distillation_bench.bench.common.locks import acquire
from distillation_bench.bench.common.text import terminal_safe
from distillation_bench.bench.storage.formats.cell_files import curves_of, history_of
from distillation_bench.bench.storage.formats.csv_files import as_csv
from distillation_bench.bench.storage.formats.older_formats import FORMAT, READABLE, upgrade_record
from distillation_bench.bench.storage.formats.schema import (
    is_id,
    manifest_flaw,
    plain_json,
    record_flaw,
)
from distillation_bench.bench.storage.formats.sealed_json import (
    OF_RECORDS,
    OF_RUN,
    checked,
    encode,
    readable,
)

if TYPE_CHECKING:
    import numpy as np

Record = dict[str, Any]


class DamagedFile(UsageError):
    """A file that isn't what was written, or isn't there.

    Attributes:
        path: of the file.
        reason: what is the matter.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class Files(NamedTuple):
    """Where a cell's parts are; the record decides which of the others there have to be."""

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
        """run.json; empty where there is none yet.

        Raises:
            UsageError: it can't be read.
        """
        path = self.folder / "run.json"
        if self.cells.is_symlink():
            raise UsageError(f"{self.cells}: a link; a run's folder holds its cells itself")
        try:
            text = self.read(path)
            manifest = plain_json(text)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise UsageError(f"{path}: can't be read ({error.strerror})") from None
        except ValueError as error:
            raise UsageError(f"{path}: not readable as JSON ({error})") from None
        if not isinstance(manifest, dict) or manifest.get("format") not in READABLE:
            formats = " or ".join(map(str, READABLE))
            raise UsageError(f"{path}: not a run's description of format {formats}")
        if flaw := manifest_flaw(manifest):
            raise UsageError(f"{path}: not a run's description ({flaw})")
        # Older versions kept none.
        if manifest.pop("sum", None) is not None and not OF_RUN.holds(text):
            raise UsageError(f"{path}: damaged: its sum is wrong")
        return manifest

    def existing_manifest(self) -> dict[str, Any]:
        """run.json of a folder that must be a run.

        Raises:
            UsageError: it isn't.
        """
        if not self.folder.is_dir():
            what = "not a folder" if self.folder.exists() else "no such folder"
            raise UsageError(f"{self.folder}: {what}")
        manifest = self.manifest()
        if not manifest:
            raise UsageError(f"{self.folder}: not a run (it has no run.json)")
        return manifest

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Replace run.json, if it is another one: tables are as old as what they are made from.

        Raises:
            Unreadable: no command could read it.
        """
        path, content = self.folder / "run.json", self.sealed(manifest)
        with contextlib.suppress(OSError):
            if self.read(path) == content:
                return
        write_atomically(path, content)

    def sealed(self, manifest: Mapping[str, Any]) -> bytes:
        """What run.json is to hold.

        Raises:
            Unreadable: no command could read it.
        """
        with readable(self.folder / "run.json"):
            text = json.dumps(encode(manifest), indent=1, sort_keys=True, allow_nan=False)
            return checked(OF_RUN.sealed(text.encode()), manifest_flaw)

    def driver(self) -> str:
        """Who runs it, as noted by the holder of the folder's lock."""
        try:
            return terminal_safe(self.read(self.folder / ".driver").decode().strip())
        except (OSError, ValueError):
            return "another process"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One writer a folder; the lock is the system's, so a dead driver's is gone with it.

        A folder that was made for a run that did not begin goes again.

        Raises:
            UsageError: another process holds it, or the folder can't be written.
        """
        with contextlib.ExitStack() as folder:
            try:
                folder.enter_context(new_folder(self.folder))
            except OSError as error:
                raise UsageError(f"{self.folder}: can't be written ({error.strerror})") from None
            with self._locked():
                yield

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        holder, path = self.folder / ".driver", self.folder / ".lock"
        is_new = not path.exists()
        try:
            if path.is_symlink():
                raise UsageError(f"{path}: a link; remove it")
            # A process that only asks whether the lock is held takes it for a moment.
            release = acquire(path, timeout=0.5)
        except Timeout:
            raise UsageError(f"{self.folder}: in use by {self.driver()}") from None
        except OSError as error:
            raise UsageError(f"{self.folder}: can't be written ({error.strerror})") from None
        try:
            # Never through a link that someone left there.
            note = f"process {os.getpid()} on {socket.gethostname()}\n"
            write_atomically(holder, note.encode())
            yield
        finally:
            with contextlib.suppress(OSError):
                holder.unlink()
                if is_new and not os.path.lexists(self.folder / "run.json"):
                    path.unlink()
            release()

    def holder(self) -> str:
        """Who holds the folder's lock; empty if nobody does, whatever a dead one left behind."""
        path = self.folder / ".lock"
        try:
            # Looking at a run writes nothing.
            if not path.is_file() or path.is_symlink():
                return ""
            acquire(path, timeout=0)()
            return ""
        except Timeout:
            return self.driver()
        except OSError:
            return ""

    def read(self, path: Path) -> bytes:
        """The content of a file in the folder.

        Raises:
            OSError: it can't be read, or is none of the folder's own.
        """
        return read_regular(path, self.folder)

    # Records

    def kept(self) -> list[str]:
        """Ids of the records that there are, asked for or not, whole or not."""
        return sorted(path.stem for path in self.cells.glob("*.json") if is_id(path.stem))

    def files(self, cell_id: str) -> Files:
        """Where a cell's parts are, or would be."""
        folder = self.cells / cell_id
        record = self.cells / f"{cell_id}.json"
        return Files(record, folder, folder / "history.csv", folder / "curves.safetensors")

    def record(self, cell_id: str) -> Record | None:
        """A finished cell's record; None if there is none or it is damaged."""
        try:
            return self.read_record(cell_id)
        except DamagedFile:
            return None

    def read_record(self, cell_id: str) -> Record:
        """A finished cell's record.

        Raises:
            DamagedFile: why it can't be used.
        """
        path = self.files(cell_id).record
        try:
            text = self.read(path)
            record = plain_json(text)
        except OSError as error:
            raise DamagedFile(path, f"can't be read ({error.strerror})") from None
        except ValueError:
            raise DamagedFile(path, "damaged: not JSON, as if cut off") from None
        if flaw := _seal_flaw(cell_id, text, record):
            raise DamagedFile(path, flaw)
        record = upgrade_record(record)
        if flaw := record_flaw(record):
            raise DamagedFile(path, flaw)
        return record

    def record_is_damaged(self, cell_id: str) -> bool:
        """Whether a cell has a record that can't be read."""
        return self.files(cell_id).record.exists() and self.record(cell_id) is None

    def part(self, record: Record, name: str) -> bytes:
        """A record's `history` or `curves` as it was written; empty if the cell has none.

        Raises:
            DamagedFile: missing, or not what the record's sum says.
        """
        path: Path = getattr(self.files(record["id"]), name)
        try:
            content = self.read(path)
        except FileNotFoundError:
            content = b""
        except OSError as error:
            raise DamagedFile(path, f"can't be read ({error.strerror})") from None
        # Of a history, an older version kept no sum.
        told = record.get(name)
        if told is not None and told != (hashlib.sha256(content).hexdigest() if content else ""):
            damage = "damaged: its SHA-256 is not the record's" if told else "of no record"
            raise DamagedFile(path, damage if content else "missing or empty")
        return content

    def history(self, record: Record) -> list[dict[str, str]]:
        """A cell's training, a row an epoch; empty if it has none.

        Raises:
            DamagedFile: missing, changed, or no history.
        """
        content = self.part(record, "history")
        try:
            return history_of(content)
        except ValueError as error:
            raise DamagedFile(self.files(record["id"]).history, str(error)) from None

    def curves(self, record: Record) -> dict[str, np.ndarray]:
        """The arrays beside a record, by name; empty if they are missing or were changed."""
        try:
            return curves_of(self.part(record, "curves"))
        except (DamagedFile, ValueError):
            return {}

    def write_record(
        self,
        record: Mapping[str, Any],
        history: Sequence[Mapping[str, Any]] = (),
        curves: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Write a cell's history and curves, then its record; what an earlier one left goes.

        Raises:
            Unreadable: no command could read one of them; what an earlier one left stays.
        """
        files = self.files(str(record["id"]))
        with readable(files.history):
            rows = _history_csv(history)
        with readable(files.curves):
            arrays = _curves_file(curves or {})
        sums = {"history": _sum(rows), "curves": _sum(arrays)}
        with readable(files.record):
            body = canonical_json(encode({"format": FORMAT, **record, **sums})).encode()
            text = OF_RECORDS.sealed(body)
            checked(text, lambda v: _seal_flaw(files.record.stem, text, v) or record_flaw(v))
        contents = {files.history: rows, files.curves: arrays, files.record: text}
        for path, content in contents.items():
            self._make_way(path, content)
        write_all_atomically({path: content for path, content in contents.items() if content})

    def write_part(self, path: Path, content: bytes) -> None:
        """Replace what lies beside a record, of a link the link; without content it goes."""
        self._make_way(path, content)
        if content:
            write_atomically(path, content)

    def _make_way(self, path: Path, content: bytes) -> None:
        """Make the folder for a file of a cell; one that has no content now goes."""
        make_folder(self.cells, self.folder)
        if content:
            make_folder(path.parent, self.folder)
        elif not path.parent.is_symlink():
            path.unlink(missing_ok=True)


def _history_csv(history: Sequence[Mapping[str, Any]]) -> bytes:
    names = list(dict.fromkeys(name for row in history for name in row))
    content = as_csv(names, encode(history)) if history else b""
    history_of(content)
    return content


def _curves_file(curves: Mapping[str, np.ndarray]) -> bytes:
    from safetensors.numpy import save

    content = save(dict(curves)) if curves else b""
    curves_of(content)
    return content


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest() if content else ""


def status_of(record: Record | None) -> str:
    """Return a cell's status; a cell without a record is `missing`."""
    return "missing" if record is None else str(record["status"])


class CellStatus(NamedTuple):
    """How a cell ended.

    Attributes:
        status: one of STATUSES.
        reason: why the cell is not `done`; else empty.
        seconds: that the cell took; 0 if it was not run.
    """

    status: str
    reason: str = ""
    seconds: float = 0.0


def cell_status(record: Record) -> CellStatus:
    """Return what a record says about how its cell ended."""
    seconds = float(record["timings"].get("seconds", 0.0))
    return CellStatus(record["status"], record["reason"], seconds)


def name_of(cell: Mapping[str, Any]) -> str:
    """As a cell is called in what commands say."""
    return terminal_safe(f"{cell['dataset']} {cell['label']} seed {cell['seed']}")


def _seal_flaw(cell_id: str, text: bytes, record: Any) -> str:
    """Say why a text is not a cell's record as it was written; empty if it is."""
    if not isinstance(record, dict):
        return "not a record"
    if (number := record.get("format")) not in READABLE:
        told = repr(number) if isinstance(number, (int, str)) else "no kind"
        return f"of format {told}, this version reads {' and '.join(map(str, READABLE))}"
    if not OF_RECORDS.holds(text):
        return "damaged: its sum is wrong"
    if record.get("id") != cell_id:
        return f"holds {record.get('id')!r}, not the cell that it is named after"
    return ""
