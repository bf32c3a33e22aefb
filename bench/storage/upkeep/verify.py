"""Checks of a run: every record, the files beside it, and the tables derived from it.

A finding is `wrong` if a value is missing, changed, out of date, or not finite on the leaderboard.
Other values may be nan by their definition, such as the correlation with a constant. These,
leftovers, and what cannot be checked are only noted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.hashing import canonical_json
from distillation_bench.bench.common.text import counted, truncated
from distillation_bench.bench.storage import tables
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.bench.storage.formats.cell_files import parse_curves
from distillation_bench.bench.storage.ownership import KINDS
from distillation_bench.bench.storage.protocol import label_clashes
from distillation_bench.bench.storage.run_folder import DamagedFile, Record, Run, cell_name


@dataclass(frozen=True)
class Finding:
    """Something about a file that a user should know.

    Attributes:
        path: of the file.
        what: in a few words.
        wrong: whether it makes the run wrong; else it is a note.
        unusable: whether the file is a record that cannot be read.
    """

    path: Path
    what: str
    wrong: bool = True
    unusable: bool = False

    def __str__(self) -> str:
        return truncated(f"{'WRONG' if self.wrong else 'note '} {self.path}: {self.what}", 1000)


def verify(run: Run) -> Iterator[Finding]:
    """Yield what is wrong with a run, and notes.

    Raises:
        UsageError: the folder is not a run.
    """
    path = run.folder / "run.json"
    try:
        manifest = run.existing_manifest()
    except UsageError as error:
        if not path.exists():
            raise
        reason = str(error).partition(": ")[2]
        yield Finding(path, f"{reason}; no record can be compared with it")
        return
    driver = run.driver()
    cells = manifest["cells"]
    for clash in label_clashes(cells.values()):
        yield Finding(path, str(clash))
    missing = run.missing(cells)
    yield from _missing_cells(run, cells, missing, driver)
    unusable = False
    without_record = set(missing)
    recorded = [cell_id for cell_id in cells if cell_id not in without_record]
    for finding in _check_records(run, manifest, recorded):
        unusable |= finding.unusable
        yield finding
    yield from _check_other_files(run, cells)
    # What the tables should hold is not known if a record cannot be read.
    for name in () if unusable else tables.outdated(run):
        yield Finding(run.folder / name, "differs from the records", wrong=not driver)


def _missing_cells(
    run: Run, cells: Mapping[str, Any], missing: Sequence[str], driver: str
) -> Iterator[Finding]:
    if driver:
        are_missing = f"{counted(len(missing), 'cell')} {'is' if len(missing) == 1 else 'are'}"
        what = f"being run by {driver}, {are_missing} still missing"
        yield Finding(run.folder, what, wrong=False)
        return
    for cell_id in missing:
        what = f"missing: {cell_name(cells[cell_id])} was not run"
        yield Finding(run.paths(cell_id).record, what)


def _check_records(
    run: Run, manifest: Mapping[str, Any], cell_ids: Sequence[str]
) -> Iterator[Finding]:
    """Check every record and the files beside it; a finding that many share is one note."""
    undefined: Counter[str] = Counter()
    unchecked = 0
    for cell_id in cell_ids:
        cell = manifest["cells"][cell_id]
        try:
            record = run.read_record(cell_id)
        except DamagedFile as damaged:
            yield Finding(damaged.path, damaged.reason, unusable=True)
            continue
        yield from _check_cell(run, record, cell, manifest["recipes"][cell["dataset"]])
        yield from _check_cell_files(run, record)
        undefined.update(_undefined(record))
        unchecked += "history" not in record
    if unchecked:
        what = f"{unchecked} histories have no checksum: an older version wrote them"
        yield Finding(run.cells, what, wrong=False)
    if undefined:
        counts = ", ".join(f"{name} {count}" for name, count in sorted(undefined.items()))
        what = f"values that are not finite, which is allowed, by metric: {counts}"
        yield Finding(run.folder, what, wrong=False)


def _check_cell(
    run: Run, record: Record, cell: Mapping[str, Any], recipe: Mapping[str, Any]
) -> Iterator[Finding]:
    """Compare a record with the cell that was asked for; check that it has values or a reason."""
    path = run.paths(record["id"]).record
    expected = {name: cell[name] for name in ("dataset", "method", "seed", "parameters")}
    expected["teacher"] = cell["measured"]
    for name, value in expected.items():
        if canonical_json(record[name]) != canonical_json(value):
            yield Finding(path, f"its {name} is {record[name]!r}, not {value!r} as in run.json")
    for name, value in recipe.items():
        # `piece` may be left to the machine in one of them, and be a number in the other.
        if name != "piece" and canonical_json(record["recipe"].get(name)) != canonical_json(value):
            yield Finding(path, f"its recipe has another value of {name} than run.json")
    if record["status"] == "done" and not (record["headline"] and record["sets"]):
        yield Finding(path, "done, but without values")
    if record["status"] != "done" and not record["reason"]:
        yield Finding(path, f"{record['status']} without a reason")
    for name, value in record["headline"].items():
        if not _is_finite(value):
            yield Finding(path, f"{name} is {value}")


def _undefined(record: Record) -> Iterator[str]:
    """Yield the names of values that are not finite, except those of the leaderboard."""
    for evaluation_set in record["sets"]:
        for name, value in evaluation_set["values"].items():
            if name not in record["headline"] and not _is_finite(value):
                yield name


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError):
        return False


def _check_cell_files(run: Run, record: Record) -> Iterator[Finding]:
    """Compare history and curves with the record's checksums, and check what they hold."""
    try:
        run.history(record)
    except DamagedFile as damaged:
        yield Finding(damaged.path, damaged.reason)
    try:
        parse_curves(run.cell_file(record, "curves"))
    except DamagedFile as damaged:
        yield Finding(damaged.path, damaged.reason)
    except ValueError as error:
        yield Finding(run.paths(record["id"]).curves, str(error))


def _check_other_files(run: Run, cells: Mapping[str, Any]) -> Iterator[Finding]:
    """Note the files in the folder of cells that belong to no cell that was asked for."""
    try:
        paths = sorted(run.cells.iterdir())
    except OSError:
        return
    older = 0
    for path in paths:
        what = _other_file(run, path, cells)
        if what is None:
            older += 1
        elif what:
            yield Finding(path, what, wrong=False)
    if older:
        what = f"{counted(older, 'record')} of cells no longer asked for, or of older code"
        yield Finding(run.cells, what, wrong=False)


def _other_file(run: Run, path: Path, cells: Mapping[str, Any]) -> str | None:
    """Return what a file is; empty for a cell that was asked for, None for another's record."""
    name = path.name.removesuffix(".json")
    if path.name.endswith(".part"):
        return "left by a writer that was killed"
    if name in cells:
        return ""
    if path.is_dir():
        return "" if run.paths(path.name).record.exists() else "belongs to no record"
    if path.suffix != ".json":
        return "belongs to no cell"
    try:
        run.read_record(name)
    except DamagedFile as damaged:
        return f"{damaged.reason}; not part of the run"
    return None


def count_records(run: Run) -> int:
    """Return the number of records, also of those not asked for."""
    return len(run.record_ids())


def verify_cache(folder: Path) -> Iterator[Finding]:
    """Yield what is wrong with a cache, and notes.

    Raises:
        UsageError: there is no such folder.
    """
    cache = Cache(folder)
    for key in cache_keys(folder):
        if not cache.is_sound(key):
            path = folder / f"{key}.safetensors"
            yield Finding(path, "incomplete, or its SHA-256 is wrong")
    for path in sorted(folder.glob(".*.part")):
        yield Finding(path, "left by a writer that was killed, or being written", wrong=False)


def cache_keys(folder: Path) -> Sequence[str]:
    """Return the keys of a cache's entries, also of incomplete ones.

    Raises:
        UsageError: there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    suffixes = (".safetensors", ".json")
    paths = (path for path in folder.iterdir() if path.suffix in suffixes)
    # Other files in the folder may have these suffixes, too.
    return sorted({path.stem for path in paths if path.stem.partition("-")[0] in KINDS})
