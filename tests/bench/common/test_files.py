"""Safe reading and writing in untrusted folders, and atomic writes."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from tests.end_to_end.hostile import PLANTS, in_time, outside_of, plant

from distillation_bench.bench.common.files import (
    make_folder,
    open_regular,
    read_regular,
    write_all_atomically,
)


@pytest.mark.parametrize("kind", PLANTS)
def test_only_regular_files_are_read(tmp_path: Path, kind: str) -> None:
    outside, folder = outside_of(tmp_path), tmp_path / "run"
    (folder / "a/b").mkdir(parents=True)
    (folder / "a/b/c").write_bytes(b"mine")
    assert read_regular(folder / "a/b/c", folder) == b"mine"
    for name in ("a/b/c", "a/b", "a"):
        plant(kind, folder / name, outside)
        with in_time(5), pytest.raises(OSError) as caught:
            read_regular(folder / "a/b/c", folder)
        assert caught.value.strerror and caught.value.filename


def test_links_are_followed_to_a_folder_but_not_within_it(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target/file").write_bytes(b"mine")
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "target/inner").symlink_to("file")
    assert read_regular(tmp_path / "link/file", tmp_path / "link") == b"mine"
    # Not even to a file of the same folder: the target of a link may change.
    with pytest.raises(OSError, match="a link, which is not followed"):
        read_regular(tmp_path / "link/inner", tmp_path / "link")
    with pytest.raises(OSError, match="a link, which is not followed"):
        read_regular(tmp_path / "link/file", tmp_path)


@pytest.mark.parametrize("name", ["../secret", "a/../../secret", ""])
def test_a_path_outside_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_bytes(b"1")
    (tmp_path / "run/a").mkdir(parents=True)
    with (
        pytest.raises(OSError, match="not in "),
        open_regular(tmp_path / "run" / name, tmp_path / "run"),
    ):
        pass


@pytest.mark.parametrize("kind", [kind for kind in PLANTS if kind != "folder"])
def test_a_new_folder_replaces_links_and_files(tmp_path: Path, kind: str) -> None:
    outside, folder = outside_of(tmp_path), tmp_path / "run"
    before = sorted(path.name for path in outside.rglob("*"))
    make_folder(folder / "a/b", folder)
    for name in ("a/b", "a"):
        plant(kind, folder / name, outside)
        make_folder(folder / "a/b", folder)
        assert (folder / "a/b").is_dir()
        assert not (folder / "a").is_symlink() and not (folder / "a/b").is_symlink()
    assert sorted(path.name for path in outside.rglob("*")) == before


def test_several_files_are_written_in_order_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / name for name in ("z", "a", "m")]
    renamed: list[str] = []
    flushed: list[int] = []

    def replace(part: Path, path: Path) -> None:
        assert len(flushed) == 3
        if path.name in fails:
            raise OSError(errno.ENOSPC, "full")
        renamed.append(path.name)
        original(part, path)

    def flush(handle: int) -> None:
        fsync(handle)
        flushed.append(handle)

    original, fsync = Path.replace, os.fsync
    fails = {"a"}
    monkeypatch.setattr(Path, "replace", replace)
    monkeypatch.setattr(os, "fsync", flush)
    with pytest.raises(OSError) as raised:
        write_all_atomically({path: path.name.encode() for path in paths})
    assert raised.value.filename == str(paths[1])
    assert [path.name for path in tmp_path.iterdir()] == ["z"]
    fails.clear()
    renamed.clear()
    flushed.clear()
    write_all_atomically({path: path.name.encode() for path in paths})
    assert renamed == ["z", "a", "m"]
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {n: n for n in "zam"}
