"""The tables of a run: written from its records, read back, and compared with them.

    results.csv  one row per cell with its headline values
    metrics.csv  one row per value, a hundred per cell; it is never in memory as a whole
    cells.csv    one row per cell with all else that its record holds, such as times

Each table is written whole or not at all. Equal runs have equal results.csv and metrics.csv; what
may differ between them is in cells.csv.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, BinaryIO, Protocol

from distillation_bench.bench.common.files import atomic_file, open_regular, write_atomically
from distillation_bench.bench.storage.formats.older_formats import FORMAT
from distillation_bench.bench.storage.formats.table_files import (
    check_durations,
    parse_metrics,
    parse_results,
)
from distillation_bench.bench.storage.formats.write_checks import write_check
from distillation_bench.bench.storage.run_folder import CellStatus, DamagedFile, Run, cell_status
from distillation_bench.bench.storage.table_note import (
    current_note,
    is_note_wrong,
    noted,
    records_fingerprint,
    tables_code,
    write_note,
)
from distillation_bench.bench.storage.table_rows import (
    RecordedCell,
    cells_csv,
    done_seconds,
    metrics_header,
    metrics_rows,
    recorded_cells,
    results_csv,
)

MAX_BYTES = {"results": 2**30, "metrics": 2**34, "cells": 2**31}
"""The largest table that is read, of two million cells; else the records are read."""
MAX_LINE_LENGTH = 2**20
CellKey = tuple[str, str, int]
"""Dataset, label and seed: the place of a cell in the tables of its run."""
_File = io.BufferedReader | io.BytesIO


# Writing


def write_tables(run: Run) -> None:
    """Write the tables of all cells that were asked for, unless they are up to date.

    Raises:
        InvalidContent: no command could read one; those of readable records can be read.
    """
    if _are_current(run):
        return
    fingerprint = records_fingerprint(run)
    with atomic_file(run.folder / "metrics.csv") as part, part.open("wb") as file:
        metrics = _HashingWriter(file)
        cells = _write_metrics(run, metrics)
    with write_check(run.folder / "results.csv"):
        results = results_csv(cells)
        parse_results(results, (cell for cell, _ in cells))
    others = cells_csv(cells)
    write_atomically(run.folder / "results.csv", results)
    write_atomically(run.folder / "cells.csv", others)
    # Older versions wrote it in the place of cells.csv.
    (run.folder / "timings.csv").unlink(missing_ok=True)
    sums = {
        "metrics": metrics.sum.hexdigest(),
        "results": hashlib.sha256(results).hexdigest(),
        "cells": hashlib.sha256(others).hexdigest(),
    }
    write_note(run, fingerprint, {**sums, "done": done_seconds(cells)})


def _are_current(run: Run) -> bool:
    """Whether the tables are what this code makes of the present records."""
    if current_note(run).get("code") != tables_code():
        return False
    for table in MAX_BYTES:
        with open_current(run, table) as file:
            if file is None:
                return False
    return True


class _Writer(Protocol):
    """Takes a table piece by piece."""

    def write(self, content: bytes, /) -> object: ...


class _HashingWriter:
    """Writes to a file and hashes what it writes."""

    def __init__(self, file: io.BufferedWriter) -> None:
        self.sum = hashlib.sha256()
        self._file = file

    def write(self, content: bytes) -> None:
        self.sum.update(content)
        self._file.write(content)


def _write_metrics(run: Run, metrics: _Writer) -> list[RecordedCell]:
    """Write metrics.csv, a cell at a time; return what the other tables need of the cells."""

    def written() -> Iterator[RecordedCell]:
        for cell, record in recorded_cells(run):
            metrics.write(metrics_rows(cell, record).encode())
            yield cell, record

    metrics.write(metrics_header())
    return _without_values(written())


# Comparing


def outdated(run: Run) -> Iterator[str]:
    """Yield the tables that differ by a byte from what the records give; also a wrong note.

    A table that is not there counts only if the note has its checksum: a run without tables is
    complete.
    """
    with contextlib.ExitStack() as stack:
        files = {name: stack.enter_context(_open_table(run, name)) for name in MAX_BYTES}
        tables = {name: _ComparingWriter(file) for name, file in files.items()}
        cells = _write_metrics(run, tables["metrics"])
        tables["results"].write(_results_as_written(run, cells))
        tables["cells"].write(cells_csv(cells))
        expected = {*noted(run), *(name for name in MAX_BYTES if _is_there(run, name))}
        changed = (name for name, table in tables.items() if not table.is_same())
        yield from (f"{name}.csv" for name in changed if name in expected)
    sums = {name: table.sum.hexdigest() for name, table in tables.items()}
    if is_note_wrong(run, {**sums, "done": done_seconds(cells)}):
        yield "derived.json"


def _is_there(run: Run, table: str) -> bool:
    return os.path.lexists(run.folder / f"{table}.csv")


class _ComparingWriter:
    """Compares a file with what would be written to it, and hashes that."""

    def __init__(self, file: _File) -> None:
        self.sum = hashlib.sha256()
        self._file = file
        self._same = True

    def write(self, content: bytes) -> None:
        self.sum.update(content)
        self._same = self._same and self._file.read(len(content)) == content

    def is_same(self) -> bool:
        """Whether the file holds that and no more."""
        return self._same and not self._file.read(1)


def _results_as_written(run: Run, cells: Sequence[RecordedCell]) -> bytes:
    """Return what results.csv should hold, in the run's format or in the present one.

    `clean` rewrites the tables of an older run, but not its run.json.
    """
    present = results_csv(cells)
    older = results_csv(cells, run.existing_manifest()["format"])
    with _open_table(run, "results") as file:
        return present if file.read(len(present) + 1) == present else older


# Reading


def done(run: Run) -> dict[str, float]:
    """Return the seconds of each done cell by id, without reading any record.

    Empty if a record is newer than the tables.
    """
    try:
        return check_durations(current_note(run)["done"])
    except (ValueError, KeyError):
        return {}


def cell_statuses(run: Run) -> Callable[[str], CellStatus]:
    """Return a function from a cell's id to its status, `missing` if it has no record.

    The records of done cells are read only if they are newer than the tables.
    """
    seconds = done(run)

    def status(cell_id: str) -> CellStatus:
        if cell_id in seconds:
            return CellStatus("done", seconds=seconds[cell_id])
        return cell_status(run.record(cell_id))

    return status


def statuses(
    cells: Iterable[Mapping[str, Any]], rows: Iterable[Mapping[str, Any]]
) -> dict[CellKey, str]:
    """Return the status of each cell that was asked for, `missing` if no row has it.

    Args:
        cells: as run.json describes them.
        rows: of results.csv.
    """
    recorded = {cell_key(row): row["status"] for row in rows}
    return {key: recorded.get(key, "missing") for key in map(cell_key, cells)}


def cell_key(row: Mapping[str, Any]) -> CellKey:
    """Return the place in the tables of a cell, or of a row of results.csv."""
    return row["dataset"], row["label"], int(row["seed"])


@contextlib.contextmanager
def results_file(run: Run) -> Iterator[BinaryIO]:
    """Open results.csv: a row per recorded cell with its headline values.

    The columns are `RESULT_COLUMNS`, then the metrics and costs. An empty field is a value that
    does not apply to the cell, `nan` one that is undefined for it.

    The stream is at the header, and may not be able to seek. It holds what the records give, which
    are read if the table is missing, changed, or older than a record; nothing is written.
    """
    yield io.BytesIO(_checked_results(run, run.existing_manifest())[0])


@contextlib.contextmanager
def metrics_file(run: Run) -> Iterator[BinaryIO]:
    """Open metrics.csv, as `results_file`: a row per value, in the columns `METRIC_COLUMNS`.

    A value that is undefined is `nan`, as the correlation with a constant; one that a cell cannot
    have, as the CRPS of a classifier, has no row. Other values are finite or `inf`.
    """
    with open_current(run, "metrics") as file:
        yield file or recorded_metrics_file(run)


def recorded_metrics_file(run: Run) -> BinaryIO:
    """Open what metrics.csv should hold, made from the records as it is read."""
    return _stream(_metrics_of_records(run))


@contextlib.contextmanager
def cells_file(run: Run) -> Iterator[BinaryIO]:
    """Open cells.csv, as `results_file`: a row per recorded cell with all that is not a value.

    The columns are `CELL_COLUMNS`, then the timings, of which some are empty. `environment` is a
    JSON object; `history` and `curves` say `true` or `false`: whether the cell has such a file.
    """
    with open_current(run, "cells") as file:
        yield file or io.BytesIO(cells_csv(_without_values(recorded_cells(run))))


def results(run: Run, manifest: Mapping[str, Any] | None = None) -> list[dict[str, str]]:
    """Return the rows of results.csv, from the records if the table is out of date or changed.

    Args:
        run: the run.
        manifest: what run.json holds, if it was read before.
    """
    return _checked_results(run, manifest or run.existing_manifest())[1]


def _checked_results(run: Run, manifest: Mapping[str, Any]) -> tuple[bytes, list[dict[str, str]]]:
    """Return results.csv with its rows; it is made from the records if its content is wrong."""
    cells = manifest["cells"].values()
    with open_current(run, "results") as file:
        content = file.read() if file and manifest["format"] == FORMAT else b""
    # A stranger may have written anything, with the right checksum.
    try:
        return content, parse_results(content, cells)
    except ValueError:
        content = results_csv(_without_values(recorded_cells(run)))
        return content, parse_results(content, cells)


def _without_values(cells: Iterable[RecordedCell]) -> list[RecordedCell]:
    """Return cells and their records without the values of sets, which would fill the memory."""
    return [(cell, {**record, "sets": []}) for cell, record in cells]


def _metrics_of_records(run: Run) -> Iterator[bytes]:
    yield metrics_header()
    for cell, record in recorded_cells(run):
        yield metrics_rows(cell, record).encode()


class _Pieces(io.RawIOBase):
    """A binary file of pieces that are made as they are read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            try:
                self._rest = next(self._pieces)
            except StopIteration:
                return 0
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def _stream(pieces: Iterator[bytes]) -> BinaryIO:
    return io.BufferedReader(_Pieces(pieces), buffer_size=2**18)


def metrics(run: Run) -> Iterator[list[str]]:
    """Yield the rows of metrics.csv, from the records if the table is out of date or changed.

    Raises:
        DamagedFile: it does not hold such rows, though its checksum is right.
    """
    with metrics_file(run) as file:
        try:
            yield from parse_metrics(_lines(file))
        except ValueError as error:
            raise DamagedFile(run.folder / "metrics.csv", str(error)) from None


@contextlib.contextmanager
def open_current(run: Run, table: str) -> Iterator[_File | None]:
    """Open a table; None if it was changed, is too large, or a record is newer."""
    with _open_table(run, table) as file:
        try:
            noted = current_note(run).get(table)
            is_current = (
                noted is not None
                and _size(file) <= MAX_BYTES[table]
                and noted == hashlib.file_digest(file, "sha256").hexdigest()
            )
            file.seek(0)
        except OSError:
            is_current = False
        yield file if is_current else None


@contextlib.contextmanager
def _open_table(run: Run, table: str) -> Iterator[_File]:
    """Open a table; an empty file if there is none."""
    with contextlib.ExitStack() as stack:
        file: _File = io.BytesIO()
        with contextlib.suppress(OSError):
            file = stack.enter_context(open_regular(run.folder / f"{table}.csv", run.folder))
        yield file


def _size(file: _File) -> int:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size


def _lines(file: BinaryIO) -> Iterator[str]:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    # A longer line is cut into pieces, which are refused as rows.
    return iter(partial(text.readline, MAX_LINE_LENGTH), "")
