"""derived.json: what the tables were made from, their checksums, and the seconds of done cells.

A table is used only if this note says that no record has changed since, and that the table is as it
was written; otherwise the records are read. `state` is a fingerprint of the records' files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from distillation_bench.bench.common.files import write_atomically
from distillation_bench.bench.common.hashing import code_digest, digest
from distillation_bench.bench.storage.formats.json_files import parse_json
from distillation_bench.bench.storage.run_folder import Run


def write_note(run: Run, fingerprint: str, content: Mapping[str, Any]) -> None:
    """Write the note: what `fingerprint` was before the tables were made, and the rest."""
    note = {"state": fingerprint, "code": tables_code(), **content}
    write_atomically(run.folder / "derived.json", json.dumps(note).encode())


def current_note(run: Run) -> dict[str, Any]:
    """Return the note; empty if there is none or a record has changed since."""
    try:
        note = parse_json(run.read(run.folder / "derived.json"))
        return dict(note) if note["state"] == records_fingerprint(run) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def is_note_wrong(run: Run, expected: Mapping[str, Any]) -> bool:
    """Whether the note is damaged, or would be believed and differs from what is expected."""
    try:
        note = parse_json(run.read(run.folder / "derived.json"))
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True
    if not isinstance(note, dict):
        return True
    is_believed = note.get("state") == records_fingerprint(run)
    # What it does not say is not believed: an older version wrote other tables.
    known = (name for name in expected if name in note)
    return is_believed and any(note[name] != expected[name] for name in known)


def noted(run: Run) -> set[str]:
    """Return the names of what the note tells, whether it is current or not."""
    try:
        return {*parse_json(run.read(run.folder / "derived.json"))}
    except (OSError, ValueError, TypeError):
        return set()


def records_fingerprint(run: Run) -> str:
    """Return a hash that changes whenever a record or run.json does."""
    paths = [*run.cells.glob("*.json"), run.folder / "run.json"]
    stats = ((path.name, path.lstat()) for path in paths)
    return digest(sorted([name, stat.st_mtime_ns, stat.st_size] for name, stat in stats))


def tables_code() -> str:
    """Return a hash of the code that makes the tables."""
    others = ("upkeep", "cache.py", "formats/tensor_files.py")
    return code_digest(("bench/storage",), frozenset(f"bench/storage/{name}" for name in others))
