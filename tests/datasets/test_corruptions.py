from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from tests.datasets.dataset_files import pixels

from distillation_bench.datasets import BadData
from distillation_bench.datasets.cifar import CIFAR10
from distillation_bench.datasets.corruptions import (
    corrupted,
    corruption_names,
    corruptions_identity,
)
from distillation_bench.datasets.mnist import MNIST

LABELS = np.array([3, 1, 4, 1])
FOG = pixels((20, 32, 32, 3), 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "labels.npy", np.tile(LABELS, 5).astype(np.uint8))
    np.save(tmp_path / "gaussian_noise.npy", pixels((20, 32, 32, 3), 2))
    np.save(tmp_path / "fog.npy", FOG)
    return tmp_path


def test_every_corruption_is_read_at_every_severity(folder: Path) -> None:
    sets = dict(corrupted(folder, CIFAR10, LABELS))
    names = ("c-fog", "c-gaussian-noise")
    assert list(sets) == [(name, severity) for name in names for severity in range(1, 6)]
    for severity in range(1, 6):
        block = FOG[4 * (severity - 1) : 4 * severity]
        np.testing.assert_array_equal(sets["c-fog", severity], block.transpose(0, 3, 1, 2))
        assert sets["c-fog", severity].flags.c_contiguous


def test_rows_are_those_of_the_test_set(folder: Path) -> None:
    rows = np.array([0, 3])
    full = dict(corrupted(folder, CIFAR10, LABELS))
    for key, part in corrupted(folder, CIFAR10, LABELS, rows):
        np.testing.assert_array_equal(part, full[key][rows])


def test_labels_of_another_test_set_are_refused(folder: Path) -> None:
    with pytest.raises(BadData, match=r"labels\.npy: not the labels of cifar10's test set"):
        dict(corrupted(folder, CIFAR10, LABELS[::-1]))


@pytest.mark.parametrize("array", [FOG[:15], FOG.astype(np.float32), FOG[..., 0]])
def test_arrays_of_another_shape_or_type_are_named(folder: Path, array: np.ndarray) -> None:
    np.save(folder / "fog.npy", array)
    with pytest.raises(BadData, match=r"fog\.npy: .*, not uint8 \(20, 32, 32, 3\)"):
        dict(corrupted(folder, CIFAR10, LABELS))


def test_a_truncated_file_is_named(folder: Path) -> None:
    file = folder / "fog.npy"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(BadData, match=r"fog\.npy: not a whole \.npy file"):
        dict(corrupted(folder, CIFAR10, LABELS))


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_pickled_arrays_are_not_opened(folder: Path) -> None:
    trap = Trap(folder / "sprung")
    np.save(folder / "fog.npy", np.array([trap], object), allow_pickle=True)
    with pytest.raises(BadData, match=r"fog\.npy: not a whole \.npy file"):
        dict(corrupted(folder, CIFAR10, LABELS))
    assert not trap.folder.exists()


def test_a_folder_of_something_else_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadData, match="corrupted images are 3x32x32, those of mnist are not"):
        corruption_names(folder, MNIST)
    for name in ("fog", "gaussian_noise"):
        (folder / f"{name}.npy").unlink()
    with pytest.raises(BadData, match=r"no \.npy files of corrupted images"):
        corruption_names(folder, CIFAR10)
    (folder / "labels.npy").unlink()
    with pytest.raises(BadData, match=r"no labels\.npy in"):
        corruptions_identity(folder, CIFAR10)


def test_the_identity_changes_with_the_files(folder: Path) -> None:
    before = corruptions_identity(folder, CIFAR10)
    assert str(folder) not in str(before)
    os.utime(folder / "fog.npy", ns=(0, 1))
    assert corruptions_identity(folder, CIFAR10) != before
