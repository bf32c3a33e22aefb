"""The tables that are derived from a run's records.

    results.csv  a row a cell, headline figures
    metrics.csv  a row a figure: a hundred a cell, so that it is never in memory as a whole
    timings.csv  what may differ between equal runs

Each is written whole or not at all, with rows sorted by dataset, method, label and seed: equal runs
are equal files.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from distillation_bench.bench.common.files import atomic_file, open_regular, write_atomically
from distillation_bench.bench.common.hashing import code_digest, digest
from distillation_bench.bench.storage.formats.cell_files import (
    metric_rows,
    result_rows,
    seconds_by_cell,
)
from distillation_bench.bench.storage.formats.csv_files import as_csv, writer
from distillation_bench.bench.storage.formats.older_formats import FORMAT, status_of_format
from distillation_bench.bench.storage.formats.schema import (
    CELL_NAMES,
    METRIC_COLUMNS,
    RESULT_COLUMNS,
    plain_json,
)
from distillation_bench.bench.storage.formats.sealed_json import readable
from distillation_bench.bench.storage.run_folder import (
    CellStatus,
    DamagedFile,
    Record,
    Run,
    cell_status,
)

LARGEST = {"results": 2**30, "metrics": 2**34, "timings": 2**30}
"""Bytes, of two million cells; of a table that is larger the records are read."""
LONGEST = 2**20
"""Characters of a line."""
_File = io.BufferedReader | io.BytesIO
_Finished = tuple[Mapping[str, Any], Record]
"""A cell as it was asked for, and its record."""


def write(run: Run) -> None:
    """Write the tables of all cells that were asked for, unless they are there.

    Raises:
        Unreadable: no command could read one; of records that can be read, it can.
    """
    if _is_current(run):
        return
    state = _state(run)
    with atomic_file(run.folder / "metrics.csv") as part, part.open("wb") as file:
        metrics = _Hashed(file)
        cells = _write_metrics(run, metrics)
    with readable(run.folder / "results.csv"):
        results = _results_csv(cells)
        result_rows(results, (cell for cell, _ in cells))
    write_atomically(run.folder / "results.csv", results)
    timings = _timings_csv(cells)
    write_atomically(run.folder / "timings.csv", timings)
    sums = {"metrics": metrics.sum.hexdigest()}
    for name, table in (("results", results), ("timings", timings)):
        sums[name] = hashlib.sha256(table).hexdigest()
    told = json.dumps({"state": state, "code": _code(), **sums, "done": _seconds(cells)})
    write_atomically(run.folder / "derived.json", told.encode())


def _is_current(run: Run) -> bool:
    """Whether the tables are what this code makes of the records that there are."""
    if _told(run).get("code") != _code():
        return False
    for table in LARGEST:
        with _fresh(run, table) as file:
            if file is None:
                return False
    return True


def _code() -> str:
    """Return a hash of the code that makes the tables."""
    others = ("upkeep", "cache.py", "formats/tensor_files.py")
    return code_digest(("bench/storage",), frozenset(f"bench/storage/{name}" for name in others))


def outdated(run: Run) -> Iterator[str]:
    """Tables that are missing, or aren't what the records give, to the byte; and a wrong note."""
    names = ("results.csv", "metrics.csv", "timings.csv")
    with contextlib.ExitStack() as stack:
        files = {name: stack.enter_context(_opened(run, name)) for name in names}
        compared = {name: _Compared(file) for name, file in files.items()}
        cells = _write_metrics(run, compared["metrics.csv"])
        compared["results.csv"].write(_as_written(run, cells))
        compared["timings.csv"].write(_timings_csv(cells))
        yield from (name for name, each in compared.items() if not each.is_same())
    sums = {name.partition(".")[0]: each.sum.hexdigest() for name, each in compared.items()}
    if _is_wrong(run, {**sums, "done": _seconds(cells)}):
        yield "derived.json"


def _as_written(run: Run, cells: Sequence[_Finished]) -> bytes:
    """Return what results.csv should hold, in the run's format or in the present one.

    `clean` rewrites the tables of an older run, but not its run.json.
    """
    table = _results_csv(cells)
    older = _results_csv(cells, run.existing_manifest()["format"])
    with _opened(run, "results.csv") as file:
        return table if file.read(len(table) + 1) == table else older


def _is_wrong(run: Run, expected: Mapping[str, Any]) -> bool:
    """Whether the note beside the tables is none, or says what isn't so and would be believed."""
    try:
        note = plain_json(run.read(run.folder / "derived.json"))
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True
    if not isinstance(note, dict):
        return True
    is_believed = note.get("state") == _state(run)
    return is_believed and any(note.get(name) != value for name, value in expected.items())


def _seconds(cells: Iterable[_Finished]) -> dict[str, float]:
    """Of cells that succeeded, by id."""
    return {r["id"]: r["timings"]["seconds"] for _, r in cells if r["status"] == "done"}


def done(run: Run) -> dict[str, float]:
    """Cells that succeeded, by id, and their seconds: without a look into any record.

    Empty where a record is newer than the tables.
    """
    try:
        return seconds_by_cell(_told(run)["done"])
    except (ValueError, KeyError):
        return {}


def outcomes(run: Run) -> Callable[[str], CellStatus | None]:
    """Return a function from a cell's id to its outcome, or to None if it has no record.

    The records of done cells are read only where they are newer than the tables.
    """
    seconds = done(run)

    def outcome(cell_id: str) -> CellStatus | None:
        if cell_id in seconds:
            return CellStatus("done", seconds=seconds[cell_id])
        record = run.record(cell_id)
        return None if record is None else cell_status(record)

    return outcome


def results(run: Run) -> list[dict[str, str]]:
    """The rows of results.csv; of the records, where they are newer or it was changed."""
    cells = run.existing_manifest()["cells"].values()
    with _fresh(run, "results") as file:
        if file is not None:
            # A stranger's may be whatever its sum says.
            with contextlib.suppress(ValueError):
                return result_rows(file.read(), cells)
    return result_rows(_results_csv(_finished(run)), cells)


def metrics(run: Run) -> Iterator[list[str]]:
    """The rows of metrics.csv, of the records where it is not fresh; METRIC_COLUMNS.

    Raises:
        DamagedFile: they aren't, though their sum is right.
    """
    with _fresh(run, "metrics") as file:
        lines = _lines_of_records(run) if file is None else _lines(file)
        try:
            yield from metric_rows(lines)
        except ValueError as error:
            raise DamagedFile(run.folder / "metrics.csv", str(error)) from None


class _Sink(Protocol):
    """Takes a table piece by piece."""

    def write(self, content: bytes, /) -> object: ...


class _Hashed:
    """Writes to a file and hashes what it writes."""

    def __init__(self, file: io.BufferedWriter) -> None:
        self.sum = hashlib.sha256()
        self._file = file

    def write(self, content: bytes) -> None:
        self.sum.update(content)
        self._file.write(content)


class _Compared:
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


def _write_metrics(run: Run, metrics: _Sink) -> list[_Finished]:
    """Write the rows of metrics, a cell at a time; returns what the other tables need."""
    cells = []
    metrics.write(as_csv(METRIC_COLUMNS, []))
    for cell, record in _finished(run):
        metrics.write(_metrics_csv(cell, record).encode())
        cells.append((cell, {**record, "sets": []}))
    return cells


# What was written


@contextlib.contextmanager
def _opened(run: Run, name: str) -> Iterator[_File]:
    """A table, or nothing where there is none."""
    with contextlib.ExitStack() as stack:
        file: _File = io.BytesIO()
        with contextlib.suppress(OSError):
            file = stack.enter_context(open_regular(run.folder / name, run.folder))
        yield file


@contextlib.contextmanager
def _fresh(run: Run, table: str) -> Iterator[_File | None]:
    """A table as it was written; None if it isn't, or a record is newer."""
    with _opened(run, f"{table}.csv") as file:
        try:
            fresh = (told := _told(run).get(table)) is not None and _size(file) <= LARGEST[table]
            fresh = fresh and told == hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
        except OSError:
            fresh = False
        yield file if fresh else None


def _told(run: Run) -> dict[str, Any]:
    """What was noted beside the tables; empty if nothing was, or a record is newer."""
    try:
        told = plain_json(run.read(run.folder / "derived.json"))
        return dict(told) if told["state"] == _state(run) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _size(file: _File) -> int:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size


def _state(run: Run) -> str:
    """Changes whenever a record or the description does."""
    paths = [*run.cells.glob("*.json"), run.folder / "run.json"]
    stats = ((path.name, path.lstat()) for path in paths)
    return digest(sorted([name, stat.st_mtime_ns, stat.st_size] for name, stat in stats))


def _lines(file: _File) -> Iterator[str]:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    # A longer line is cut into pieces, which are refused as rows.
    return iter(partial(text.readline, LONGEST), "")


# What the records give


def _finished(run: Run) -> Iterator[_Finished]:
    cells = run.existing_manifest()["cells"]
    for cell_id in sorted(cells, key=lambda each: _order(cells[each])):
        record = run.record(cell_id)
        if record is not None:
            yield cells[cell_id], record


def _order(cell: Mapping[str, Any]) -> tuple[str, str, str, int]:
    return cell["dataset"], cell["method"], cell["label"], cell["seed"]


def _lines_of_records(run: Run) -> Iterator[str]:
    yield as_csv(METRIC_COLUMNS, []).decode()
    for cell, record in _finished(run):
        yield from io.StringIO(_metrics_csv(cell, record), newline="")


def _results_csv(rows: Iterable[_Finished], number: int = FORMAT) -> bytes:
    """Return the content of results.csv in a format."""
    results = [
        {
            **_names(cell),
            "status": status_of_format(record["status"], number),
            **record["headline"],
        }
        for cell, record in rows
    ]
    figures = sorted({name for row in results for name in row} - set(RESULT_COLUMNS))
    return as_csv([*RESULT_COLUMNS, *figures], results)


def _timings_csv(rows: Iterable[_Finished]) -> bytes:
    timings = [{**_names(cell), "cell": record["id"], **record["timings"]} for cell, record in rows]
    return as_csv(list(dict.fromkeys(name for row in timings for name in row)), timings)


def _names(cell: Mapping[str, Any]) -> dict[str, Any]:
    return {name: cell[name] for name in CELL_NAMES}


def _metrics_csv(cell: Mapping[str, Any], record: Record) -> str:
    """A cell's rows of metrics.csv."""
    text = io.StringIO()
    names, rows = _names(cell).values(), writer(text)
    for entry in record["sets"]:
        where = entry["set"], entry["shift"], entry["severity"]
        for key, value in sorted(entry["values"].items()):
            metric, _, score = key.partition(":")
            rows.writerow((*names, *where, metric, score, value))
    return text.getvalue()
