"""Histories and curves of cells: read as written, or their damage is named."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
from tests.bench.storage.stored_runs import record
from tests.unchecked import unchecked

from distillation_bench.bench.storage.formats.cell_files import parse_curves
from distillation_bench.bench.storage.formats.write_checks import InvalidContent
from distillation_bench.bench.storage.run_folder import (
    DamagedFile,
    Run,
)


def test_curves_are_read_as_written_or_missing(tmp_path: Path) -> None:
    run = Run(tmp_path)
    curves = {"a/b:c": np.linspace(0, 1, 7, dtype=np.float32), "x": np.ones((2, 3), np.float32)}
    run.write_record(record("c"), curves=curves)
    stored = run.record("c")
    assert stored is not None
    np.testing.assert_equal(run.curves(stored), curves)
    path = tmp_path / "cells/c/curves.safetensors"
    content = path.read_bytes()
    for damaged in (content[:-1], content + b"0", content.replace(b"a/b", b"a/d")):
        path.write_bytes(damaged)
        assert run.curves(stored) == {}
    path.unlink()
    assert run.curves(stored) == {}
    run.write_record(record("d"))
    without = run.record("d")
    assert without is not None and run.curves(without) == {}


HISTORY = [{"stage": "train", "epoch": 0, "loss": 1.5, "extra": math.nan}]
BAD_HISTORIES = [
    (b"loss\nabc\n", "not a history: it lacks the columns stage and epoch"),
    (b"stage,epoch,loss\ntrain,0,abc\n", "damaged: loss is 'abc', not a number"),
    (b"stage,epoch,loss\ntrain,x,1\n", "damaged: epoch is 'x', not a number"),
    (b"stage,epoch,loss\ntrain,0\n", "damaged: it ends too early"),
    (b"stage,epoch,loss\ntrain,0,1", "damaged: it ends too early"),
    (b"\xff\xfe", "not readable as CSV"),
    (b'stage,epoch\n"a', "not readable as CSV"),
]


def test_a_history_is_read_as_written_or_its_damage_is_named(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for name in "cd":
        run.write_record(record(name), [{**row, "loss": ord(name)} for row in HISTORY])
    stored, path = run.read_record("c"), run.paths("c").history
    assert run.history(stored) == [{"stage": "train", "epoch": "0", "loss": "99", "extra": "nan"}]
    assert run.cell_file(stored, "history") == path.read_bytes()
    history_of_d, content = run.paths("d").history.read_bytes(), path.read_bytes()
    for damage, reason in [
        *((changed, "damaged: its SHA-256 is wrong") for changed in (history_of_d, b"x")),
        (b"", "missing or empty"),
    ]:
        path.write_bytes(damage)
        with pytest.raises(DamagedFile) as caught:
            run.history(stored)
        assert str(caught.value) == f"{path}: {reason}"
    path.unlink()
    with pytest.raises(DamagedFile, match="missing or empty"):
        run.history(stored)
    path.write_bytes(content)
    with pytest.raises(DamagedFile, match="belongs to no record"):
        run.history({**stored, "history": ""})
    # An older version stored no checksum of it.
    assert run.history({name: stored[name] for name in stored if name != "history"})
    run.write_record(record("c"))
    assert run.history(run.read_record("c")) == []


@pytest.mark.parametrize(("content", "reason"), BAD_HISTORIES)
def test_a_file_that_is_no_history_is_damaged_despite_a_right_checksum(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    run = Run(tmp_path)
    run.write_record(record("c"), HISTORY)
    run.paths("c").history.write_bytes(content)
    stored = {**run.read_record("c"), "history": hashlib.sha256(content).hexdigest()}
    with pytest.raises(DamagedFile) as caught:
        run.history(stored)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        *(("histogram/total/test", (50,)), ("upper/total/test", (2,)), ("roc/total/ood", (7,))),
        *(("reliability/test", (15, 3)), ("fidelity/test", (3, 9)), ("canvas/total", (4, 4))),
        ("canvas/x", (4,)),
    ],
)
def test_curves_of_another_shape_are_refused_and_not_read(
    tmp_path: Path, name: str, shape: tuple[int, ...]
) -> None:
    run = Run(tmp_path)
    curves = {name: np.zeros(shape, np.float32)}
    with pytest.raises(InvalidContent, match=name):
        run.write_record(record("c"), curves=curves)
    with unchecked():
        run.write_record(record("c"), curves=curves)
    stored = run.read_record("c")
    assert run.curves(stored) == {}
    with pytest.raises(ValueError, match=name):
        parse_curves(run.cell_file(stored, "curves"))
    with pytest.raises(ValueError, match="not readable as safetensors"):
        parse_curves(b"junk")
