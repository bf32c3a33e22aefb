"""Cache entries are complete or missing, and damage is detected."""

from __future__ import annotations

import errno
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distillation_bench.bench.storage.cache import Cache, DamagedEntry, entry_key

ARRAYS: dict[str, np.ndarray[Any, Any]] = {
    "float": np.arange(6, dtype=np.float32).reshape(2, 3),
    "bytes": np.arange(5, dtype=np.uint8),
    "classes": np.array([3, -1], dtype=np.int64),
    "count": np.array(7, dtype=np.int64),
}


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    cache = Cache(tmp_path)
    cache.save("k", ARRAYS, {"dataset": "d"})
    return cache


def test_arrays_are_read_as_they_were_written(cache: Cache) -> None:
    loaded = {name: tensor.numpy() for name, tensor in cache.load("k").items()}
    assert loaded.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name], array)
    assert cache.has("k") and cache.is_sound("k") and cache.note("k")["dataset"] == "d"


def test_every_truncation_is_found(cache: Cache) -> None:
    path = cache.folder / "k.safetensors"
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        assert not cache.has("k") and not cache.is_sound("k")
        with pytest.raises(DamagedEntry):
            cache.load("k")


def test_every_flipped_bit_is_found(cache: Cache) -> None:
    path = cache.folder / "k.safetensors"
    content = bytearray(path.read_bytes())
    for position in range(len(content)):
        content[position] ^= 1 << (position % 8)
        path.write_bytes(content)
        assert not cache.is_sound("k")
        content[position] ^= 1 << (position % 8)


def test_empty_and_missing_entries_are_damaged(cache: Cache) -> None:
    (cache.folder / "k.safetensors").write_bytes(b"")
    for key in ("k", "none"):
        assert not cache.has(key) and not cache.is_sound(key)
        with pytest.raises(DamagedEntry):
            cache.load(key)
    assert cache.note("none") == {}


def test_a_removed_entry_is_missing_and_may_be_removed_again(cache: Cache) -> None:
    cache.remove("k")
    cache.remove("k")
    assert not cache.has("k") and not list(cache.folder.iterdir())


def test_loaded_arrays_share_the_file_but_not_changes(cache: Cache) -> None:
    path = cache.folder / "k.safetensors"
    before = path.read_bytes()
    first, second = cache.load("k"), cache.load("k")
    maps = Path("/proc/self/maps").read_text()
    assert maps.count(str(path)) >= 2
    first["float"].fill_(7)
    assert second["float"].tolist() == ARRAYS["float"].tolist()
    assert path.read_bytes() == before and cache.is_sound("k")


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b"null", b'{"bytes": "x"}', b"\xff"])
def test_a_damaged_note_is_a_missing_entry(cache: Cache, note: bytes) -> None:
    (cache.folder / "k.json").write_bytes(note)
    assert not cache.has("k") and not cache.is_sound("k")


def test_a_write_that_fails_midway_raises_the_error_of_the_disk(cache: Cache) -> None:
    """The error number tells the run that no cell is to blame."""
    cache.save("key", {"x": np.zeros(10)}, {})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OSError) as caught:
            cache.save("key", {"x": np.zeros(10_000)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.errno == errno.EFBIG
    assert cache.load("key")["x"].shape == (10,)


def test_a_full_disk_leaves_the_old_entry(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        cache.save("k", {"float": np.zeros(1)}, {})
    np.testing.assert_array_equal(cache.load("k")["float"].numpy(), ARRAYS["float"])
    assert not list(cache.folder.glob(".*"))


def test_a_key_does_not_depend_on_the_order_of_its_content() -> None:
    assert entry_key("t", {"a": 1, "b": 2}) == entry_key("t", {"b": 2, "a": 1})
    assert entry_key("t", {"a": 1}) != entry_key("t", {"a": 2})
