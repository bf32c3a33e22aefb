"""Writing what this version would not write: of a stranger, of an older version, or changed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from distillation_bench.bench.storage import run_folder as store


@contextlib.contextmanager
def unchecked() -> Iterator[None]:
    """Within it whatever is written to a run is written; nothing should be read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "checked", lambda text, flaw_of: text)
        patch.setattr(store, "history_of", lambda content: [])
        patch.setattr(store, "curves_of", lambda content: {})
        yield
