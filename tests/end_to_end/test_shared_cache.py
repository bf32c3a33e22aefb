"""A cache with files of another user."""

from __future__ import annotations

import os

import pytest
from tests.end_to_end.bench_command import Bench
from tests.end_to_end.failing_plugins import CELL
from tests.users import ANNA, BERT, GROUP, as_user, shared_folder


def test_an_inaccessible_cache_is_reported_in_one_line_and_fails_no_cell(
    in_process: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with shared_folder(0o2775) as folder:
        cache = folder / "cache"
        assert in_process("run", *CELL, "--results", "mine", "--cache", str(cache)).returncode == 0
        (teacher,) = cache.glob("outputs-*.safetensors")
        teacher.chmod(0o600)
        os.chown(cache, ANNA, GROUP)
        cache.chmod(0o2775)
        monkeypatch.chdir(folder)
        done = as_user(BERT, in_process, "run", *CELL, "--results", "run", "--cache", str(cache))
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1] == (
            f"error: {teacher}: Permission denied; finished cells are kept, and the same command "
            "resumes the run"
        )
        assert not list((folder / "run").glob("cells/*"))
