"""Whether a run is whole: every record, what lies beside it, and the tables derived from it.

A finding is `wrong` if a figure is missing, changed, out of date or not finite on the leaderboard.
Other figures may be nan by their definition (the disagreement of one head, a misclassification
AUROC where nothing is misclassified): these, what is left over, and what can't be checked are only
noted.
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
from distillation_bench.bench.common.text import truncated
from distillation_bench.bench.storage import tables as derived
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.bench.storage.formats.cell_files import parse_curves
from distillation_bench.bench.storage.labels import clashes
from distillation_bench.bench.storage.ownership import KINDS
from distillation_bench.bench.storage.run_folder import DamagedFile, Record, Run, cell_name


@dataclass(frozen=True)
class Finding:
    """What is the matter with a file.

    Attributes:
        place: its path.
        what: the matter, in a few words.
        wrong: whether it makes the run wrong; otherwise it is only good to know.
        unusable: whether it is a record, and none that can be read.
    """

    place: Path
    what: str
    wrong: bool = True
    unusable: bool = False

    def __str__(self) -> str:
        return truncated(f"{'WRONG' if self.wrong else 'note '} {self.place}: {self.what}", 1000)


def verify(run: Run) -> Iterator[Finding]:
    """All that is the matter with a run.

    Raises:
        UsageError: it is no run.
    """
    path = run.folder / "run.json"
    try:
        manifest = run.existing_manifest()
    except UsageError as error:
        if not path.exists():
            raise
        yield Finding(path, f"{str(error).partition(': ')[2]}; no record can be compared with it")
        return
    driven = run.driver()
    cells = manifest["cells"]
    for clash in clashes(cells.values()):
        yield Finding(path, str(clash))
    found = {cell_id: run.paths(cell_id).record.exists() for cell_id in cells}
    missing = [cell_id for cell_id in cells if not found[cell_id]]
    if driven:
        what = f"being run by {driven}, {len(missing)} cells are still to come"
        yield Finding(run.folder, what, wrong=False)
    else:
        for cell_id in missing:
            what = f"missing: {cell_name(cells[cell_id])} was not run"
            yield Finding(run.paths(cell_id).record, what)
    unusable = False
    for finding in _of_records(run, manifest, [name for name in cells if found[name]]):
        unusable |= finding.unusable
        yield finding
    yield from _strangers(run, cells)
    # Without one of the records it isn't known what they give.
    for name in () if unusable else derived.outdated(run):
        yield Finding(run.folder / name, "not what the records give", wrong=not driven)


def _of_records(
    run: Run, manifest: Mapping[str, Any], cell_ids: Sequence[str]
) -> Iterator[Finding]:
    """Of every record and what belongs to it; what most of them have in common is said once."""
    undefined: Counter[str] = Counter()
    unsummed = 0
    for cell_id in cell_ids:
        cell = manifest["cells"][cell_id]
        try:
            record = run.read_record(cell_id)
        except DamagedFile as damaged:
            yield Finding(damaged.path, damaged.reason, unusable=True)
            continue
        yield from _of_cell(run, record, cell, manifest["recipes"][cell["dataset"]])
        yield from _of_parts(run, record)
        undefined.update(_undefined(record))
        unsummed += "history" not in record
    if unsummed:
        what = f"{unsummed} histories have no sum, they are of an older version"
        yield Finding(run.cells, what, wrong=False)
    if undefined:
        counts = ", ".join(f"{name} {count}" for name, count in sorted(undefined.items()))
        what = f"evaluations in which a figure is not finite, as it may be: {counts}"
        yield Finding(run.folder, what, wrong=False)


def records_of(run: Run) -> int:
    """How many there are."""
    return len(run.record_ids())


def _of_cell(
    run: Run, record: Record, cell: Mapping[str, Any], recipe: Mapping[str, Any]
) -> Iterator[Finding]:
    """Whether a record is of the cell that was asked for, and has its figures."""
    place = run.paths(record["id"]).record
    told = {name: cell[name] for name in ("dataset", "method", "seed")}
    told |= {"parameters": cell["parameters"], "teacher": cell["measured"]}
    for name, value in told.items():
        if canonical_json(record[name]) != canonical_json(value):
            yield Finding(place, f"its {name} is {record[name]!r}, asked for was {value!r}")
    for name, value in recipe.items():
        # How members were cut into pieces need not be told alike.
        if name != "piece" and canonical_json(record["recipe"].get(name)) != canonical_json(value):
            yield Finding(place, f"its recipe's {name} isn't the run's")
    if record["status"] == "done" and not (record["headline"] and record["sets"]):
        yield Finding(place, "done, but without values")
    if record["status"] != "done" and not record["reason"]:
        yield Finding(place, f"{record['status']} without a reason")
    for name, value in record["headline"].items():
        if not _is_finite(value):
            yield Finding(place, f"{name} is {value}")


def _undefined(record: Record) -> Iterator[str]:
    """Names of figures that aren't finite, but for those of the leaderboard."""
    for entry in record["sets"]:
        for key, value in entry["values"].items():
            if key not in record["headline"] and not _is_finite(value):
                yield key


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError):
        return False


def _of_parts(run: Run, record: Record) -> Iterator[Finding]:
    """The history and the curves, against the sums in the record and what they have to be."""
    files = run.paths(record["id"])
    try:
        run.history(record)
    except DamagedFile as damaged:
        yield Finding(damaged.path, damaged.reason)
    try:
        parse_curves(run.cell_file(record, "curves"))
    except DamagedFile as damaged:
        yield Finding(damaged.path, damaged.reason)
    except ValueError as error:
        yield Finding(files.curves, str(error))


def _strangers(run: Run, cells: Mapping[str, Any]) -> Iterator[Finding]:
    """What lies among the cells and was not asked for."""
    try:
        found = sorted(run.cells.iterdir())
    except OSError:
        return
    older = 0
    for path in found:
        name = path.name.removesuffix(".json")
        if path.name.endswith(".part"):
            yield Finding(path, "left by a writer that was killed", wrong=False)
        elif name in cells:
            continue
        elif path.is_dir():
            if not run.paths(path.name).record.exists():
                yield Finding(path, "of no record", wrong=False)
        elif path.suffix != ".json":
            yield Finding(path, "no cell's", wrong=False)
        else:
            try:
                run.read_record(name)
                older += 1
            except DamagedFile as damaged:
                yield Finding(path, f"{damaged.reason}; not asked for", wrong=False)
    if older:
        what = f"{older} records of cells no longer asked for, or of older code"
        yield Finding(run.cells, what, wrong=False)


def verify_cache(folder: Path) -> Iterator[Finding]:
    """All that is the matter with a cache.

    Raises:
        UsageError: no such folder.
    """
    cache = Cache(folder)
    for key in entries(folder):
        if not cache.sound(key):
            path = folder / f"{key}.safetensors"
            yield Finding(path, "incomplete, or its SHA-256 is not the one noted")
    for path in sorted(folder.glob(".*.part")):
        yield Finding(path, "left by a writer that was killed, or being written", wrong=False)


def entries(folder: Path) -> Sequence[str]:
    """Keys of a cache's entries, whole or not.

    Raises:
        UsageError: no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    suffixes = (".safetensors", ".json")
    paths = (path for path in folder.iterdir() if path.suffix in suffixes)
    # A folder of something else may have files that end so, too.
    return sorted({path.stem for path in paths if path.stem.partition("-")[0] in KINDS})
