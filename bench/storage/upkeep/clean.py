"""What runs and a cache don't need: listed, and removed only when that is asked for.

Of a run: failed records, records of cells no longer asked for, damaged ones, and what writers left.
Of a cache: damaged entries, and what writers left. A cache is shared by runs that it does not
know, so a sound entry is kept, unless one asks for old ones to go; all of it can be made again.
Links are left alone, and so is every file that isn't known.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from distillation_bench.bench.common.errors import UsageError, nearest
from distillation_bench.bench.common.files import real_path
from distillation_bench.bench.common.terminal_tables import text_table
from distillation_bench.bench.common.text import terminal_safe
from distillation_bench.bench.storage import tables as derived
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.bench.storage.run_folder import Run
from distillation_bench.bench.storage.upkeep.verify import entries

REASONS = {
    "failed": "failed; run --retry-failed would replace it",
    "unasked": "no longer asked for, or of older code",
    "damaged": "damaged or incomplete; made again when needed",
    "leftover": "left by a writer that was killed",
    "old": "old; made again when needed",
}
HOUR = 3600.0
WRITING = HOUR
"""What is younger may be being written."""
INTERRUPTED = 7 * 24 * HOUR
"""An interrupted training that nobody went on with for so long leaves its checkpoint for good."""


@dataclass(frozen=True)
class Rubbish:
    """Files that go together, e.g. a record with its history and curves.

    Attributes:
        reason: one of REASONS.
        paths: to remove, in this order; a folder only if it is empty then.
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
    """List what is not needed, or remove it; returns the list.

    Args:
        runs: to clean; their teachers stay in the cache.
        cache: to clean.
        only: of REASONS; all where it is empty.
        days: entries of the cache that are older go, too.
        yes: remove.

    Raises:
        UsageError: no such folder, an unknown reason, or a run is in use or leaves its folder.
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
        found = [each for run in runs for each in _of_run(run)]
        if cache is not None:
            found += _of_cache(cache, runs, days)
        found = [each for each in found if not only or each.reason in only]
        lines = [_table(found)] if found else []
        things = "1 thing" if len(found) == 1 else f"{len(found)} things"
        total = f"{things}, {_bytes(sum(each.size for each in found))}"
        if not found:
            return "nothing to remove"
        if not yes:
            return "\n".join([*lines, "", f"{total}: nothing was removed; --yes removes it"])
        for each in found:
            _remove(each)
        for run in runs:
            derived.write(run)
    return "\n".join([*lines, "", f"{total}: removed"])


def _of_run(run: Run) -> Iterator[Rubbish]:
    asked = run.manifest()["cells"]
    for cell_id in run.record_ids():
        path = run.paths(cell_id).record
        if path.is_symlink():
            continue
        record = run.record(cell_id)
        parts = (path, *_parts(run, cell_id))
        if cell_id not in asked:
            yield Rubbish("unasked", parts)
        elif record is None:
            yield Rubbish("damaged", parts)
        elif record["status"] == "failed":
            yield Rubbish("failed", parts)
    for folder in sorted(path for path in run.cells.glob("*") if path.is_dir()):
        parts = _parts(run, folder.name)
        orphan = parts and not run.paths(folder.name).record.exists()
        if orphan and _is_over(folder) and set(folder.iterdir()) <= set(parts):
            yield Rubbish("leftover", parts)
    for folder in (run.folder, run.cells, *run.cells.glob("*")):
        yield from _unfinished(folder)


def _parts(run: Run, cell_id: str) -> tuple[Path, ...]:
    """A cell's history and curves, and their folder; what else lies in it keeps it."""
    files = run.paths(cell_id)
    if files.folder.is_symlink() or not files.folder.is_dir():
        return ()
    parts = (files.history, files.curves)
    return *(path for path in parts if path.exists() and not path.is_symlink()), files.folder


def _of_cache(folder: Path, runs: Sequence[Run], days: int | None) -> Iterator[Rubbish]:
    cache = Cache(folder)
    needed = {cell["measured"] for run in runs for cell in run.manifest()["cells"].values()}
    for key in entries(folder):
        paths = tuple(folder / f"{key}{suffix}" for suffix in (".json", ".safetensors"))
        paths = tuple(path for path in paths if path.exists() and not path.is_symlink())
        if not paths or not all(_is_over(path) for path in paths):
            continue
        kind = key.partition("-")[0]
        # A run names its teachers' outputs; whose the weights and the data are it can't tell.
        kept = key in needed if kind == "outputs" else bool(runs)
        if not cache.sound(key):
            yield Rubbish("damaged", paths)
        elif kind == "checkpoint" and all(_is_over(path, INTERRUPTED) for path in paths):
            yield Rubbish("leftover", paths)
        elif days and not kept and all(_is_over(path, days * 24 * HOUR) for path in paths):
            yield Rubbish("old", paths)
    yield from _unfinished(folder)


def _unfinished(folder: Path) -> Iterator[Rubbish]:
    """Files that were to be renamed when they were whole."""
    for path in sorted(folder.glob(".*.part")) if not folder.is_symlink() else ():
        if path.is_file() and not path.is_symlink() and _is_over(path):
            yield Rubbish("leftover", (path,))


def _is_over(path: Path, seconds: float = WRITING) -> bool:
    return time.time() - path.lstat().st_mtime > seconds


def _remove(rubbish: Rubbish) -> None:
    for path in rubbish.paths:
        if not path.is_dir():
            path.unlink(missing_ok=True)
        else:
            with contextlib.suppress(OSError):
                path.rmdir()


def _table(found: Iterable[Rubbish]) -> str:
    rows = [
        [terminal_safe(str(each.paths[0])), _bytes(each.size), REASONS[each.reason]]
        for each in found
    ]
    headers = ["file", "size", "why"]
    return text_table(rows, headers, align=("left", "right", "left"))


def _bytes(count: float) -> str:
    """`12 B`, `3.4 kB`, `1.2 MB`."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
