"""Which files belong to a run or a cache, so that no other output replaces them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.files import real_path

RUN_FILES = (
    *("run.json", "results.csv", "metrics.csv", "cells.csv", "timings.csv", "derived.json"),
    *(".lock", ".driver"),
)
CELLS = "cells"
KINDS = ("data", "sets", "decoded", "weights", "outputs", "checkpoint")
"""Of entries of a cache: what their keys begin with."""
_ENTRY_SUFFIXES = (".safetensors", ".json", ".lock")
_MAX_NAMES = 3
"""Names of a folder's content that a message shows."""


def owner_of(path: Path) -> str:
    """Return `the run FOLDER` or `the cache FOLDER` that a path is or would be in, or empty."""
    path = real_path(path)
    for folder in path.parents:
        # Some file systems do not distinguish capital letters.
        name, *below = (part.casefold() for part in path.relative_to(folder).parts)
        is_owned = name == CELLS or (name in RUN_FILES and not below)
        if is_owned and os.path.lexists(folder / "run.json"):
            return f"the run {folder}"
    return f"the cache {path.parent}" if _is_cache_file(path) else ""


def _is_cache_file(path: Path) -> bool:
    """Whether a file is named like one of a cache's entry and lies among entries."""
    name = path.name.casefold()
    if not name.endswith(_ENTRY_SUFFIXES) or name.partition("-")[0] not in KINDS:
        return False
    return any(any(path.parent.glob(f"{kind}-*.safetensors")) for kind in KINDS)


def require_room(folder: Path, location: str) -> None:
    """Check that a run can be made in a folder: it is not there, is empty, or is a run.

    Hidden files do not count, since a run that was killed early leaves its lock. A hidden file that
    a run would replace does count, unless a run wrote it.

    Args:
        folder: of the run.
        location: what an error message begins with.

    Raises:
        UsageError: the folder holds something else, or is not a folder.
    """
    if owner := owner_of(folder):
        raise UsageError(f"{location}: inside {owner}; give a new folder")
    if os.path.lexists(folder / "run.json"):
        return
    names = _names_in(folder, location)
    foreign = [name for name in names if not name.startswith(".") or _is_foreign(folder / name)]
    if foreign:
        more = ", …" if len(foreign) > _MAX_NAMES else ""
        held = f"it holds {', '.join(foreign[:_MAX_NAMES])}{more}"
        raise UsageError(f"{location}: neither a run nor empty ({held}); give a new folder")


def _names_in(folder: Path, location: str) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        what = f"can't be read ({error.strerror})" if folder.is_dir() else "not a folder"
        if not folder.exists():
            what = f"can't be written ({error.strerror})"
        raise UsageError(f"{location}: {what}") from None


def _is_foreign(path: Path) -> bool:
    """Whether a file has the name of a lock or of a driver's note, but no run wrote it."""
    start = {".lock": b"", ".driver": b"process "}.get(path.name)
    if start is None or path.is_symlink() or not path.is_file():
        return False
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(8) != start
    return False
