"""Joining runs of one protocol, as from several machines, into one that `run` can go on with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.files import real_path, write_atomically
from distillation_bench.bench.common.hashing import canonical_json
from distillation_bench.bench.common.text import counted
from distillation_bench.bench.storage import tables
from distillation_bench.bench.storage.formats.older_formats import FORMAT
from distillation_bench.bench.storage.joined_runs import join_runs
from distillation_bench.bench.storage.ownership import require_room
from distillation_bench.bench.storage.run_folder import DamagedFile, Record, Run, cell_name

CELL_FILES = ("history", "curves")


@dataclass(frozen=True)
class MergePlan:
    """What a merged run will be.

    Attributes:
        manifest: its description.
        holders: by cell's id, the run that the record is taken from.
    """

    manifest: Mapping[str, Any]
    holders: Mapping[str, Run]


def merge(sources: Sequence[Run], target: Run, prefer: Run | None, arrays: bool = True) -> str:
    """Copy the cells of sources into the target, a new folder or a run; return a summary.

    A cell that several runs hold is taken from one in which it is done. The sources and the cells
    of the target stay as they are.

    Args:
        sources: to copy from.
        target: to copy to; its lock is held meanwhile.
        prefer: the run to take a cell from if it is done in several with different values.
        arrays: copy histories and curves too. Else the copied records say under `left_out` that
            they were, and tables, comparisons and figures of values have all that they need.

    Raises:
        UsageError: a source is not a run, or damaged; protocols differ; the values of a cell differ
            and no run is preferred; the target is in use, or neither empty nor a run.
    """
    sources = list({real_path(run.folder): run for run in sources}.values())
    _check_folders(sources, target, prefer)
    _check_links([*sources, target])
    # Every reason to refuse comes before anything is written.
    plan = _plan(sources, target, prefer)
    with target.locked():
        if target.manifest():
            # The process that held the lock until now may have added to it.
            plan = _plan(sources, target, prefer)
        target.write_manifest(plan.manifest)
        copied = [cell_id for cell_id, run in plan.holders.items() if run is not target]
        for cell_id in copied:
            if arrays:
                _copy(plan.holders[cell_id], target, cell_id)
            else:
                _copy_values(plan.holders[cell_id], target, cell_id)
        tables.write_tables(target)
    return "\n".join([_summary(plan, target, len(copied)), *_running(sources)])


def _summary(plan: MergePlan, target: Run, copied: int) -> str:
    cells = plan.manifest["cells"]
    missing = len(target.missing(cells))
    counts = f"{counted(copied, 'record')} copied; {counted(len(cells), 'cell')}, {missing} missing"
    return f"{target.folder}: {counts}"


def _running(sources: Sequence[Run]) -> list[str]:
    driven = [run for run in sources if run.driver()]
    return [f"{run.folder} is being run: merge again when it ends" for run in driven]


def _check_folders(sources: Sequence[Run], target: Run, prefer: Run | None) -> None:
    folders = {real_path(run.folder) for run in sources}
    if real_path(target.folder) in folders:
        raise UsageError(f"--into {target.folder}: one of the runs to merge, which are not changed")
    if prefer and real_path(prefer.folder) not in folders | {real_path(target.folder)}:
        raise UsageError(f"--prefer {prefer.folder}: not one of the runs to merge")
    require_room(target.folder, f"--into {target.folder}")


def _check_links(runs: Sequence[Run]) -> None:
    """Refuse cells whose folder is a link, which copying would replace."""
    for run in runs:
        folders = (run.paths(cell_id).folder for cell_id in run.manifest().get("cells", ()))
        if link := next((folder for folder in folders if folder.is_symlink()), None):
            raise UsageError(f"{link}: a link; merge needs a folder")


def _plan(sources: Sequence[Run], target: Run, prefer: Run | None) -> MergePlan:
    # A target in which no cell is done, as after an interrupted merge, counts as new.
    runs = [target, *sources] if _has_done_cells(target) else list(sources)
    joined = join_runs(runs, agree=False).manifest
    manifest = {**joined, "format": FORMAT, "command": _commands(runs)}
    # The first of equal runs is taken.
    runs.sort(key=lambda run: prefer is None or not _is_same(run, prefer))
    holders, clashes = {}, []
    for cell_id, candidates in _candidates(runs).items():
        holder, clash = _choose(cell_id, candidates, target, prefer)
        holders[cell_id] = holder
        if clash:
            clashes.append((cell_name(manifest["cells"][cell_id]), clash))
    _refuse(clashes)
    return MergePlan(manifest, holders)


def _has_done_cells(run: Run) -> bool:
    return bool(run.manifest()) and any(row["status"] == "done" for row in tables.results(run))


def _candidates(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Return by cell's id the runs that have a record of it."""
    candidates: dict[str, list[Run]] = {}
    for run in runs:
        cells = run.manifest()["cells"]
        missing = set(run.missing(cells))
        for cell_id in cells:
            if cell_id not in missing:
                candidates.setdefault(cell_id, []).append(run)
    return candidates


def _choose(
    cell_id: str, candidates: Sequence[Run], target: Run, prefer: Run | None
) -> tuple[Run, list[Run]]:
    """Return the run to take a cell from and, if it matters, those whose values differ."""
    records = {run: _sound_record(run, cell_id) for run in candidates}
    done = [run for run in candidates if records[run]["status"] == "done"]
    values = {canonical_json([records[run]["headline"], records[run]["sets"]]) for run in done}
    if len(values) > 1:
        is_preferred = prefer is not None and _is_same(done[0], prefer)
        return done[0], [] if is_preferred else done
    # A record of the target is not replaced by an equal one.
    if target in done:
        return target, []
    return [*done, *candidates][0], []


def _is_same(run: Run, other: Run) -> bool:
    return real_path(run.folder) == real_path(other.folder)


def _refuse(clashes: Sequence[tuple[str, Sequence[Run]]]) -> None:
    if clashes:
        name, runs = clashes[0]
        more = f" (and {len(clashes) - 1} more cells)" if len(clashes) > 1 else ""
        raise UsageError(
            f"{name}{more}: the same cell has different values in "
            f"{' and '.join(str(r.folder) for r in runs)}; choose one with --prefer RUN"
        )


def _commands(runs: Sequence[Run]) -> str:
    """Return the commands that made the runs, each once, one after another."""
    commands = (run.manifest().get("command", "").split(" && ") for run in runs)
    return " && ".join(dict.fromkeys(command for parts in commands for command in parts))


def _sound_record(run: Run, cell_id: str) -> Record:
    """Return a record after comparing the files beside it with their checksums.

    Raises:
        UsageError: which file is damaged.
    """
    try:
        record = run.read_record(cell_id)
        for name in CELL_FILES:
            run.cell_file(record, name)
    except DamagedFile as damaged:
        what = f"{damaged.path}: damaged (see verify); run the cell again"
        raise UsageError(what) from None
    return record


def _copy(source: Run, target: Run, cell_id: str) -> None:
    """Copy a cell; its record comes last, since a cell with a record counts as finished."""
    record = source.read_record(cell_id)
    paths = target.paths(cell_id)
    for name in CELL_FILES:
        target.write_cell_file(getattr(paths, name), source.cell_file(record, name))
    write_atomically(paths.record, source.read(source.paths(cell_id).record))


def _copy_values(source: Run, target: Run, cell_id: str) -> None:
    """Copy a cell without its history and curves."""
    record = source.read_record(cell_id)
    left_out = [name for name in CELL_FILES if source.cell_file(record, name)]
    left_out += record.get("left_out", [])
    # The checksum is that of the former content.
    copied = {name: value for name, value in record.items() if name != "sum"}
    target.write_record({**copied, "left_out": sorted(left_out)})
