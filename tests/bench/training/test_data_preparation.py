"""Prepared data in the cache, and remarks about a dataset."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.datasets.dataset_files import write_images

from distillation_bench.bench.planning.cells import Cell
from distillation_bench.bench.planning.data_remarks import data_plans, remarks
from distillation_bench.bench.storage.cache import Cache
from distillation_bench.bench.training.data_preparation import prepare_data

Plan = Callable[..., list[Cell]]
COUNTS = {"a": 1, "b": 2, "c": 3, "d": 9, "e": 11, "f": 40}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Images of common and rare classes; class e has no test image."""
    root = tmp_path_factory.mktemp("pictures")
    for number, (name, count) in enumerate(COUNTS.items()):
        write_images(root / "train" / name, count, seed=number)
        if name != "e":
            write_images(root / "test" / name, count, seed=10 + number)
    shutil.copy(root / "train/f/00.png", root / "test/f/00.png")
    (root / "train/f/Thumbs.db").touch()
    return f"folder:{root}[size=8]"


def counts(cache: Cache, key: str, part: str) -> list[int]:
    return cache.load(key)[f"{part}.y"].bincount(minlength=6).tolist()


def test_no_class_vanishes_from_a_subset(folder: str, cells: Plan, tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    (plan,) = data_plans(cells(datasets=[folder], recipe={"examples": 20, "test_examples": 15}))
    # Known from the layout before any file is read.
    skipped = "1 file is skipped, since its name is not that of an image: .db (1)"
    rare = "classes of fewer than 2 training examples: a"
    untested = "classes without a test example: e"
    assert remarks([plan], cache, tmp_path) == {folder: [skipped, rare, untested]}
    prepare_data(cache, plan, tmp_path)
    # 1, 2, 2, 2, 2, 2 first and 9 in proportion to 0, 0, 1, 6, 8, 34, what was not held out.
    assert counts(cache, plan.splits_key, "train") == [1, 2, 2, 3, 4, 8]
    assert counts(cache, plan.sets_key, "test") == [1, 2, 2, 3, 0, 7]
    held_out = counts(cache, plan.splits_key, "validation")
    assert sum(held_out) == 6 and held_out[:2] == [0, 0]
    (lines,) = remarks([plan], cache, tmp_path).values()
    assert lines[:3] == [skipped, rare, untested]
    twice = "1 of 55 images of test/ are in train/ too, such as test/f/00.png and train/f/00.png"
    assert lines[3] == twice
    assert lines[4].startswith("classes without a validation example: a, b, ")
    # Remarks are made again from the files, although the prepared data stay.
    thumbs = Path(folder.removeprefix("folder:").removesuffix("[size=8]"), "train/f/Thumbs.db")
    thumbs.unlink()
    try:
        assert remarks([plan], cache, tmp_path) == {folder: lines[1:]}
    finally:
        thumbs.touch()


def test_rows_of_the_test_set_and_its_shifts_are_the_same(
    folder: str, cells: Plan, tmp_path: Path
) -> None:
    cache = Cache(tmp_path)
    (plan,) = data_plans(cells(datasets=[folder], recipe={"test_examples": 12}))
    prepare_data(cache, plan, tmp_path)
    sets = cache.load(plan.sets_key)
    shifted = [name for name in sets if name.startswith("test/") and name.endswith(".y")]
    assert len(shifted) == 20
    for name in shifted:
        np.testing.assert_array_equal(sets[name], sets["test.y"])
