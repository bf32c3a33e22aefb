"""Cache keys: what changes arrays changes their key, and nothing else does."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.datasets.dataset_files import write_classes, write_images

from distillation_bench.bench.planning.cache_keys import TeacherPlan
from distillation_bench.bench.planning.cells import Cell, make_cells
from distillation_bench.bench.planning.configuration.config import Config
from distillation_bench.bench.planning.configuration.option_values import parse_variant
from distillation_bench.datasets.folder import folder_dataset

SIZE = "[size=8]"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A folder of images, with one folder for each class."""
    write_classes(tmp_path / "images")
    yield tmp_path / "images"
    folder_dataset.cache_clear()


def planned(name: str, ood: tuple[str, ...] = (), **recipe: Any) -> Cell:
    config = Config(
        datasets=(name,),
        variants=(parse_variant("kd"),),
        seeds=(0,),
        recipe={"members": 3, **recipe},
        recipes={},
        locations={},
        ood=ood,
    )
    (cell,) = make_cells(config)
    return cell


def keys(cell: Cell) -> dict[str, str]:
    plan: TeacherPlan = cell.teacher
    return {
        "splits": plan.data.splits_key,
        "sets": plan.data.sets_key,
        "weights": plan.key,
        "outputs": plan.outputs_key,
        "cell": cell.id,
    }


def changed(before: Cell, after: Cell) -> set[str]:
    return {name for name, key in keys(before).items() if keys(after)[name] != key}


ALL = {"splits", "sets", "weights", "outputs", "cell"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"examples": 4}, {"splits", "weights", "outputs", "cell"}),
        ({"test_examples": 4}, {"sets", "outputs", "cell"}),
        ({"data_seed": 3}, ALL),
        ({"epochs": 3}, {"weights", "outputs", "cell"}),
        ({"augment": "crop"}, {"weights", "outputs", "cell"}),
        ({"precision": "bfloat16"}, {"weights", "outputs", "cell"}),
        ({"members": 4}, {"weights", "outputs", "cell"}),
        ({"network": {"width": 0.5}}, {"weights", "outputs", "cell"}),
        ({"network": {"head": [16]}}, {"cell"}),
        ({"network": {"core": [16]}}, {"cell"}),
        ({"student_weight_decay": 0.5}, {"cell"}),
        ({"piece": 2}, set()),
        ({"augment": ""}, set()),
        ({"ood": ("uniform-noise",)}, {"sets", "outputs", "cell"}),
    ],
)
def test_each_value_changes_exactly_the_keys_that_depend_on_it(
    root: Path, changes: dict[str, Any], expected: set[str]
) -> None:
    name = f"folder:{root}{SIZE}"
    assert changed(planned(name), planned(name, **changes)) == expected


def test_pieces_change_keys_if_they_are_computed_as_one_batch(root: Path) -> None:
    name, network = f"folder:{root}{SIZE}", {"batching": "vmap"}
    uncut, cut = planned(name, network=network), planned(name, network=network, piece=2)
    assert changed(uncut, cut) == {"weights", "outputs", "cell"}
    assert changed(uncut, planned(name, network=network, piece=3)) == set()
    assert [list(piece) for piece in cut.teacher.pieces] == [[0, 1], [2]]
    assert len(planned(name).teacher.pieces) == 3 and len(uncut.teacher.pieces) == 1


def test_a_folder_that_is_moved_keeps_its_keys(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = planned(f"folder:{root}{SIZE}")
    moved = tmp_path / "elsewhere" / "other"
    moved.parent.mkdir()
    shutil.move(root, moved)
    assert changed(before, planned(f"folder:{moved}{SIZE}")) == set()
    monkeypatch.chdir(moved.parent)
    assert changed(before, planned(f"folder:other{SIZE}")) == set()
    assert str(tmp_path) not in str(keys(before))


def changed_file(root: Path) -> None:
    file = next((root / "train/cat").iterdir())
    os.utime(file, ns=(1, 1))


def new_file(root: Path) -> None:
    shutil.copy(next((root / "train/cat").iterdir()), root / "train/cat/99.png")


@pytest.mark.parametrize("change", [changed_file, new_file])
def test_a_changed_folder_has_other_keys(root: Path, change: Callable[[Path], None]) -> None:
    name = f"folder:{root}{SIZE}"
    before = planned(name)
    change(root)
    folder_dataset.cache_clear()
    assert changed(before, planned(name)) == ALL


def test_keys_depend_on_the_content_of_an_ood_folder(root: Path, tmp_path: Path) -> None:
    name, ood_folder = f"folder:{root}{SIZE}", tmp_path / "other"
    write_images(ood_folder, 4)
    before = planned(name, (f"folder:{ood_folder}",))
    assert changed(planned(name), before) == {"sets", "outputs", "cell"}
    os.utime(next(ood_folder.iterdir()), ns=(1, 1))
    assert changed(before, planned(name, (f"folder:{ood_folder}",))) == {"sets", "outputs", "cell"}


def test_the_group_of_an_ood_set_changes_metrics_but_no_array(root: Path) -> None:
    name = f"folder:{root}{SIZE}"
    far, near = planned(name, ("uniform-noise",)), planned(name, ("near:uniform-noise",))
    assert changed(far, near) == {"cell"}


def test_each_member_has_its_own_key(root: Path) -> None:
    plan = planned(f"folder:{root}{SIZE}", piece=2).teacher
    assert len(set(plan.member_keys)) == 3
    assert plan.piece_key(0) != plan.piece_key(1)
