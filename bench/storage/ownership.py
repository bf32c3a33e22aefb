"""Which files are a run's or a cache's own, so that nothing else replaces them."""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path

from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.files import real_path

RUN_FILES = (
    *("run.json", "results.csv", "metrics.csv", "timings.csv", "derived.json"),
    *(".lock", ".driver"),
)
CELLS = "cells"
KINDS = ("data", "sets", "decoded", "weights", "outputs", "checkpoint")
"""What the key of a cache's entry begins with."""
_ENTRY_FILES = (".safetensors", ".json", ".lock")


def owner_of(path: Path) -> str:
    """The run or cache whose own file this is, or would be, in words; empty if it is nobody's."""
    place = real_path(path)
    for folder in place.parents:
        # Some file systems take capitals for small letters.
        name, *below = (part.casefold() for part in place.relative_to(folder).parts)
        own = name == CELLS or (name in RUN_FILES and not below)
        if own and os.path.lexists(folder / "run.json"):
            return f"the run {folder}"
    return f"the cache {place.parent}" if _is_entry(place) else ""


def _is_entry(place: Path) -> bool:
    """Whether it is named like a file of an entry, and lies among entries."""
    named = place.name.casefold()
    if not named.endswith(_ENTRY_FILES) or named.partition("-")[0] not in KINDS:
        return False
    return any(any(place.parent.glob(f"{kind}-*.safetensors")) for kind in KINDS)


def require_room(folder: Path, place: str) -> None:
    """Whether a run can be made in a folder: it isn't there, is empty, or is a run.

    A folder is empty if nothing in it is shown, so hidden files don't count: a run that was killed
    early leaves its lock. A hidden file that a run would replace counts, unless a run wrote it.

    Args:
        folder: of the run.
        place: what an error begins with.

    Raises:
        UsageError: it holds something else, or is no folder.
    """
    if owner := owner_of(folder):
        raise UsageError(f"{place}: within {owner}; give a new folder")
    if os.path.lexists(folder / "run.json"):
        return
    try:
        names = sorted(each.name for each in folder.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        what = f"can't be read ({error.strerror})" if folder.is_dir() else "not a folder"
        if not folder.exists():
            what = f"can't be written ({error.strerror})"
        raise UsageError(f"{place}: {what}") from None
    foreign = [name for name in names if not name.startswith(".") or _is_foreign(folder / name)]
    if foreign:
        more = ", …" if len(foreign) > 3 else ""
        held = ", ".join(itertools.islice(foreign, 3)) + more
        raise UsageError(f"{place}: neither a run nor empty (it holds {held}); give a new folder")


def _is_foreign(path: Path) -> bool:
    """Whether a file has the name of a lock or of a driver's note, and is none that a run left."""
    content = {".lock": b"", ".driver": b"process "}.get(path.name)
    if content is None or path.is_symlink() or not path.is_file():
        return False
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(8) != content
    return False
