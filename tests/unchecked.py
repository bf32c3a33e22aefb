"""Writing content that this version refuses: untrusted, older or changed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from distillation_bench.bench.storage import run_folder


@contextlib.contextmanager
def unchecked() -> Iterator[None]:
    """Turn off the checks of writing within the block; nothing should be read in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_folder, "_check_readable", lambda content, parse: None)
        patch.setattr(run_folder, "parse_history", lambda content: [])
        patch.setattr(run_folder, "parse_curves", lambda content: {})
        yield
