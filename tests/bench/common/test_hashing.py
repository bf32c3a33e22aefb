"""Stray files in a clone change no digest, and files that cannot be read are named in one line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from distillation_bench.bench.common import hashing
from distillation_bench.bench.common.errors import UsageError
from distillation_bench.bench.common.hashing import (
    code_digest,
    code_files,
    file_digest,
    python_files,
)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with one file of code, in place of the clone."""
    monkeypatch.setattr(hashing, "ROOT", tmp_path)
    (tmp_path / "bench/training").mkdir(parents=True)
    (tmp_path / "bench/training/cell.py").write_text("X = 1")
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    code_digest.cache_clear()
    file_digest.cache_clear()


STRAY_FILES = [
    "bench/training/.cell.py",
    "bench/.hidden/cell.py",
    "bench/training/.ipynb_checkpoints/cell-checkpoint.py",
]


@pytest.mark.parametrize("name", STRAY_FILES)
def test_hidden_files_change_no_digest(clone: Path, name: str) -> None:
    before = code_digest(("bench",))
    (clone / name).parent.mkdir(exist_ok=True)
    (clone / name).write_text("X = 2")
    forget()
    assert code_digest(("bench",)) == before


def test_locks_of_editors_and_other_irregular_files_are_left_out(clone: Path) -> None:
    before = code_digest(("bench",))
    (clone / "bench/training/.#cell.py").symlink_to("user@host.1234:1700000000")
    (clone / "bench/training/broken.py").symlink_to("nowhere.py")
    (clone / "bench/training/folder.py").mkdir()
    os.mkfifo(clone / "bench/training/pipe.py")
    forget()
    assert code_digest(("bench",)) == before
    assert code_files(["bench"]) == [clone / "bench/training/cell.py"]


def test_a_clone_in_a_hidden_folder_has_files(tmp_path: Path) -> None:
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden/cell.py").write_text("X = 1")
    assert list(python_files(tmp_path / ".hidden")) == [tmp_path / ".hidden/cell.py"]


def test_a_file_with_a_syntax_error_is_named(clone: Path) -> None:
    (clone / "bench/scratch.py").write_text("X = 1\ndef half(")
    with pytest.raises(UsageError, match=r"bench/scratch\.py:2: '\(' was never closed$"):
        code_digest(("bench",))


def test_a_file_that_cannot_be_read_is_named(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    # Permissions do not stop root.
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(UsageError, match=r"bench/training/cell\.py: Permission denied$"):
        code_digest(("bench",))
