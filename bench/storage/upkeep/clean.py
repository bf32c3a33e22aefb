"""What runs and a cache do not need: listed, and removed only if that is asked for.

In a run: records that failed, are damaged or are no longer asked for, and leftovers of writers. In
a cache: damaged entries and leftovers. A cache does not know all runs that share it, so a sound
entry stays unless old ones are to go; every entry can be made again. Links and unknown files stay.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from distillation_bench.bench.common.errors import UsageError, nearest
from distillation_bench.bench.common.files import real_path
from distillation_bench.bench.common.terminal_tables import text_table
from distillation_bench.bench.common.text import terminal_safe
from distillation_bench.bench.storage import tables
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.bench.storage.run_folder import Run
from distillation_bench.bench.storage.upkeep.verify import cache_keys

REASONS = {
    "failed": "failed; run --retry-failed would replace it",
    "unasked": "no longer asked for, or of older code",
    "damaged": "damaged or incomplete; made again when needed",
    "leftover": "left by a writer that was killed",
    "old": "old; made again when needed",
}
HOUR = 3600.0
MIN_AGE = HOUR
"""Younger files may be being written."""
MAX_CHECKPOINT_AGE = 7 * 24 * HOUR
"""The checkpoint of an interrupted training that nobody continued for so long is not needed."""


@dataclass(frozen=True)
class Removable:
    """Files that go together, such as a record with its history and curves.

    Attributes:
        reason: one of REASONS.
        paths: to remove, in this order; a folder only if it is empty by then.
    """

    reason: str
    paths: tuple[Path, ...]

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(path.lstat().st_size for path in self.paths if path.is_file())


def clean(
    runs: Sequence[Run], cache: Path | None, only: Sequence[str], days: int | None, yes: bool
) -> str:
    """List what is not needed, or remove it; return the list.

    Args:
        runs: to clean; their teachers stay in the cache.
        cache: to clean.
        only: of REASONS; empty for all.
        days: also remove entries of the cache that are older.
        yes: remove what is listed.

    Raises:
        UsageError: a folder is not there or not a run, a reason is unknown, or a run is in use.
    """
    for reason in only:
        if reason not in REASONS:
            raise UsageError(f"--only {reason}: unknown{nearest(reason, REASONS)}")
    for run in runs:
        run.existing_manifest()
    with contextlib.ExitStack() as locks:
        if yes:
            for run in {real_path(run.folder): run for run in runs}.values():
                locks.enter_context(run.locked())
        items = _removable(runs, cache, only, days)
        if not items:
            return "nothing to remove"
        count = "1 thing" if len(items) == 1 else f"{len(items)} things"
        total = f"{count}, {_bytes(sum(item.size for item in items))}"
        table = _table(items)
        if not yes:
            return f"{table}\n\n{total}: nothing was removed; --yes removes it"
        _remove(items, runs)
    return f"{table}\n\n{total}: removed"


def _removable(
    runs: Sequence[Run], cache: Path | None, only: Sequence[str], days: int | None
) -> list[Removable]:
    items = [item for run in runs for item in _of_run(run)]
    if cache is not None:
        items += _of_cache(cache, runs, days)
    return [item for item in items if not only or item.reason in only]


def _of_run(run: Run) -> Iterator[Removable]:
    yield from _records(run)
    yield from _orphans(run)
    for folder in (run.folder, run.cells, *run.cells.glob("*")):
        yield from _unfinished(folder)


def _records(run: Run) -> Iterator[Removable]:
    asked_for = run.manifest()["cells"]
    for cell_id in run.record_ids():
        path = run.paths(cell_id).record
        if path.is_symlink():
            continue
        record = run.record(cell_id)
        paths = (path, *_cell_files(run, cell_id))
        if cell_id not in asked_for:
            yield Removable("unasked", paths)
        elif record is None:
            yield Removable("damaged", paths)
        elif record["status"] == "failed":
            yield Removable("failed", paths)


def _orphans(run: Run) -> Iterator[Removable]:
    """Yield folders of cells without a record, unless they hold other files."""
    for folder in sorted(path for path in run.cells.glob("*") if path.is_dir()):
        paths = _cell_files(run, folder.name)
        is_orphan = paths and not run.paths(folder.name).record.exists()
        if is_orphan and _is_older(folder) and set(folder.iterdir()) <= set(paths):
            yield Removable("leftover", paths)


def _cell_files(run: Run, cell_id: str) -> tuple[Path, ...]:
    """Return a cell's history and curves, and their folder."""
    paths = run.paths(cell_id)
    if paths.folder.is_symlink() or not paths.folder.is_dir():
        return ()
    files = (paths.history, paths.curves)
    return *(path for path in files if path.exists() and not path.is_symlink()), paths.folder


def _of_cache(folder: Path, runs: Sequence[Run], days: int | None) -> Iterator[Removable]:
    cache = Cache(folder)
    teachers = {cell["measured"] for run in runs for cell in run.manifest()["cells"].values()}
    for key in cache_keys(folder):
        paths = tuple(folder / f"{key}{suffix}" for suffix in (".json", ".safetensors"))
        paths = tuple(path for path in paths if path.exists() and not path.is_symlink())
        if not paths or not _are_older(paths):
            continue
        kind = key.partition("-")[0]
        # A run names its teachers' outputs, but not the weights and data that they are made from.
        is_needed = key in teachers if kind == "outputs" else bool(runs)
        if not cache.is_sound(key):
            yield Removable("damaged", paths)
        elif kind == "checkpoint" and _are_older(paths, MAX_CHECKPOINT_AGE):
            yield Removable("leftover", paths)
        elif days and not is_needed and _are_older(paths, days * 24 * HOUR):
            yield Removable("old", paths)
    yield from _unfinished(folder)


def _unfinished(folder: Path) -> Iterator[Removable]:
    """Yield files that were to be renamed when they were complete."""
    for path in sorted(folder.glob(".*.part")) if not folder.is_symlink() else ():
        if path.is_file() and not path.is_symlink() and _is_older(path):
            yield Removable("leftover", (path,))


def _are_older(paths: Iterable[Path], seconds: float = MIN_AGE) -> bool:
    return all(_is_older(path, seconds) for path in paths)


def _is_older(path: Path, seconds: float = MIN_AGE) -> bool:
    return time.time() - path.lstat().st_mtime > seconds


def _remove(items: Iterable[Removable], runs: Iterable[Run]) -> None:
    for path in (path for item in items for path in item.paths):
        if not path.is_dir():
            path.unlink(missing_ok=True)
        else:
            with contextlib.suppress(OSError):
                path.rmdir()
    for run in runs:
        tables.write_tables(run)


def _table(items: Iterable[Removable]) -> str:
    rows = [
        [terminal_safe(str(item.paths[0])), _bytes(item.size), REASONS[item.reason]]
        for item in items
    ]
    headers = ["file", "size", "why"]
    align = ("left", "right", "left")
    # Paths stay whole, for other programs to read.
    return text_table(rows, headers, align=align, width=sys.maxsize)


def _bytes(count: float) -> str:
    """Return `12 B`, `3.4 kB` or `1.2 MB`."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
