"""Damaged entries of a cache are never used."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.end_to_end.fuzz.changes import Change, as_json, changes
from tests.end_to_end.fuzz.damage import damage_locations
from tests.end_to_end.fuzz.runs import (
    examples,
    program,
)
from tests.end_to_end.hostile import assert_orderly

from distillation_bench.bench.storage.cache import Cache, DamagedEntry
from distillation_bench.bench.training.optimization.checkpoints import Checkpoint

ENTRIES: Mapping[str, Mapping[str, np.ndarray]] = {
    "weights-a.0": {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array(7)},
    "outputs-b": {"test": np.linspace(0, 1, 24).reshape(2, 3, 4), "ood:x/y": np.zeros((0, 2))},
    "checkpoint-c": {"optimizer.m": np.ones(3, np.float32), "network.w": np.arange(2.0)},
}


ROWS = [{"stage": "train", "epoch": epoch, "loss": 0.1 * epoch} for epoch in range(4)]


NOTES: Mapping[str, Any] = {
    "weights-a.0": {"members": [0, 0], "history": ROWS},
    "outputs-b": {"dataset": "spiral", "seed": 0, "members": 5},
    "checkpoint-c": {"history": [[list(pair) for pair in row.items()] for row in ROWS]},
}


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> tuple[Cache, dict[str, bytes]]:
    """Return a cache and the contents of its files."""
    cache = Cache(tmp_path_factory.mktemp("cached"))
    for key, arrays in ENTRIES.items():
        cache.save(key, arrays, NOTES[key])
    return cache, {path.name: path.read_bytes() for path in sorted(cache.folder.iterdir())}


@examples(160)
@given(where=damage_locations, both_files=st.booleans())
def test_damaged_entries_are_not_loaded(
    cached: tuple[Cache, dict[str, bytes]], where: Any, both_files: bool
) -> None:
    cache, files = cached
    for name, content in files.items():
        (cache.folder / name).write_bytes(content)
    names = list(files)
    for index, source_index, damage in where:
        name, another = names[index % len(names)], names[source_index % len(names)]
        pairs = [(name, another)]
        if damage.kind == "another's" and both_files:
            stems = Path(name).stem, Path(another).stem
            pairs = [(stems[0] + end, stems[1] + end) for end in (".json", ".safetensors")]
        for into, source in pairs:
            content = damage.of(files[into], files[source])
            (cache.folder / into).write_bytes(b"" if content is None else content)
            if content is None:
                (cache.folder / into).unlink()
    for key, arrays in ENTRIES.items():
        note = cache.note(key)
        assert not note or {name: note[name] for name in NOTES[key]} == NOTES[key]
        try:
            loaded = cache.load(key)
        except DamagedEntry:
            assert not cache.is_sound(key)
            continue
        assert cache.is_sound(key) and cache.has(key) and loaded.keys() == arrays.keys()
        for name, array in arrays.items():
            tensor = loaded[name].numpy()
            assert tensor.dtype == array.dtype and tensor.shape == array.shape
            assert tensor.tobytes() == array.tobytes()
    assert Checkpoint(cache, "c", 0).history in ([], ROWS)


@examples(60)
@given(edits=changes)
def test_a_checkpoint_with_another_history_is_read_or_ignored(
    cached: tuple[Cache, dict[str, bytes]], edits: Sequence[Change]
) -> None:
    """Its checksum is right, as if an older version or another program had written it."""
    cache, files = cached
    for name, content in files.items():
        (cache.folder / name).write_bytes(content)
    note = json.loads(files["checkpoint-c.json"])
    note.pop("sum")
    for change in edits:
        change.to(note)
    (cache.folder / "checkpoint-c.json").write_text(as_json(note))
    history = Checkpoint(cache, "c", 0).history
    assert all(isinstance(row["stage"], str) and isinstance(row["epoch"], int) for row in history)
    assert_orderly(program("verify", "--cache", str(cache.folder)))
    assert_orderly(program("clean", "--cache", str(cache.folder), "--older", "1"))
