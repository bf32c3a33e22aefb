"""Joining runs of one protocol, as from several machines, into one that `run` can go on with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distillation_bench.bench.analysis.results import read
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.files import real_path, write_atomically
from distillation_bench.bench.common.hashing import canonical_json
from distillation_bench.bench.storage import tables as derived
from distillation_bench.bench.storage.formats.older_formats import FORMAT
from distillation_bench.bench.storage.ownership import require_room
from distillation_bench.bench.storage.run_folder import DamagedFile, Record, Run, cell_name

PARTS = ("history", "curves")


@dataclass(frozen=True)
class Merger:
    """What a merged run will be.

    Attributes:
        manifest: its description.
        records: the run that each cell's record is taken from, by the cell's id.
        waiting: how many cells nobody has finished.
    """

    manifest: Mapping[str, Any]
    records: Mapping[str, Run]
    waiting: int


def merge(sources: Sequence[Run], target: Run, prefer: Run | None) -> str:
    """Copy the cells of sources into the target, a new folder or a run; returns what was done.

    A cell that several hold is taken where it is done; what the target has stays.

    Args:
        sources: stay as they are.
        target: its folder's lock is held meanwhile.
        prefer: the run to take from where both are done and their values differ.

    Raises:
        UsageError: not runs, or of several protocols; damaged; figures of a cell differ between
            two runs and none is preferred; the target is in use or no run.
    """
    sources = list({real_path(run.folder): run for run in sources}.values())
    _check_places(sources, target, prefer)
    _check_links([*sources, target])
    # Every reason to refuse comes before anything is made.
    merger = _plan(sources, target, prefer)
    with target.locked():
        if target.manifest():
            # What drove it till now may have added to it.
            merger = _plan(sources, target, prefer)
        target.write_manifest(merger.manifest)
        for cell_id, run in merger.records.items():
            if run is not target:
                _copy(run, target, cell_id)
        derived.write(target)
    copied = sum(run is not target for run in merger.records.values())
    busy = [
        f"{run.folder} is being run: merge again when it ends" for run in sources if run.driver()
    ]
    total = f"{len(merger.manifest['cells'])} cells, {merger.waiting} missing"
    return "\n".join([f"{target.folder}: {copied} records copied; {total}", *busy])


def _check_places(sources: Sequence[Run], target: Run, prefer: Run | None) -> None:
    places = {real_path(run.folder) for run in sources}
    if real_path(target.folder) in places:
        raise UsageError(f"--into {target.folder}: one of the runs to merge; they stay as they are")
    if prefer and real_path(prefer.folder) not in places | {real_path(target.folder)}:
        raise UsageError(f"--prefer {prefer.folder}: none of the runs to merge")
    require_room(target.folder, f"--into {target.folder}")


def _check_links(runs: Sequence[Run]) -> None:
    """A cell whose folder is a link is not replaced without being asked."""
    for run in runs:
        folders = (run.paths(cell_id).folder for cell_id in run.manifest().get("cells", ()))
        if linked := next((each for each in folders if each.is_symlink()), None):
            raise UsageError(f"{linked}: a link out of the run; merge takes and writes folders")


def _plan(sources: Sequence[Run], target: Run, prefer: Run | None) -> Merger:
    # One in which nothing has finished, as after a merger was interrupted, counts as new.
    existing = [target] if _has_figures(target) else []
    runs = [*existing, *sources]
    try:
        described = read([run.folder for run in runs], agree=False).manifest
    except UsageError as error:
        # That offers an option which marks labels, for tables: a folder has one protocol.
        raise UsageError(str(error).partition("; --mixed")[0]) from None
    manifest = {**described, "format": FORMAT, "command": _command(runs)}
    # Of equals the first is taken.
    order = sorted(runs, key=lambda run: prefer is None or not _same(run, prefer))
    holders: dict[str, list[Run]] = {}
    for run in order:
        for cell_id in run.manifest()["cells"]:
            if run.paths(cell_id).record.exists():
                holders.setdefault(cell_id, []).append(run)
    records, clashes = {}, []
    for cell_id, having in holders.items():
        found = {run: _sound(run, cell_id) for run in having}
        fine = [run for run in having if found[run]["status"] == "done"]
        kinds = {canonical_json([found[run]["headline"], found[run]["sets"]]) for run in fine}
        if len(kinds) > 1 and not (prefer and _same(fine[0], prefer)):
            clashes.append((cell_name(manifest["cells"][cell_id]), fine))
        # What is there already is not copied over by what is equal to it.
        equal = [run for run in fine if run is target and len(kinds) == 1]
        records[cell_id] = [*equal, *fine, *having][0]
    _refuse(clashes)
    return Merger(manifest, records, len(manifest["cells"]) - len(records))


def _has_figures(run: Run) -> bool:
    return bool(run.manifest()) and any(row["status"] == "done" for row in derived.results(run))


def _same(a: Run, b: Run) -> bool:
    return real_path(a.folder) == real_path(b.folder)


def _refuse(clashes: Sequence[tuple[str, Sequence[Run]]]) -> None:
    if clashes:
        name, runs = clashes[0]
        more = f" (and {len(clashes) - 1} more cells)" if len(clashes) > 1 else ""
        raise UsageError(
            f"{name}{more}: figures differ between {' and '.join(str(r.folder) for r in runs)}, "
            "though the cells are the same: not reproduced; --prefer RUN takes one"
        )


def _command(runs: Sequence[Run]) -> str:
    """The commands that made the runs, one after another."""
    commands = (run.manifest().get("command", "") for run in runs)
    return " && ".join(
        dict.fromkeys(each for command in commands for each in command.split(" && "))
    )


def _sound(run: Run, cell_id: str) -> Record:
    """A record with all that lies beside it as its sums say.

    Raises:
        UsageError: which file is damaged.
    """
    try:
        record = run.read_record(cell_id)
        for name in PARTS:
            run.cell_file(record, name)
    except DamagedFile as damaged:
        what = f"{damaged.path}: damaged (verify says how); run the cell again"
        raise UsageError(what) from None
    return record


def _copy(source: Run, target: Run, cell_id: str) -> None:
    """The record last, as when it was written: before it, the cell isn't finished."""
    record = source.read_record(cell_id)
    files = target.paths(cell_id)
    for name in PARTS:
        target.write_cell_file(getattr(files, name), source.cell_file(record, name))
    write_atomically(files.record, source.read(source.paths(cell_id).record))
