"""Writing what this version would not write: of a stranger, of an older version, or changed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from distillation_bench.bench.storage import run_folder


@contextlib.contextmanager
def unchecked() -> Iterator[None]:
    """Within it whatever is written to a run is written; nothing should be read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_folder, "_check_readable", lambda content, parse: None)
        patch.setattr(run_folder, "parse_history", lambda content: [])
        patch.setattr(run_folder, "parse_curves", lambda content: {})
        yield
