"""CIFAR-10-C and CIFAR-100-C: corrupted test sets, read from a folder of .npy files.

Hendrycks & Dietterich 2019 (arXiv 1903.12261). Each NAME.npy is [5 N, 32, 32, 3] uint8: the N test
images at severity 1, then at severity 2, up to 5. labels.npy has the test labels five times.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from distillation_bench.datasets.base import BadData, Dataset
from distillation_bench.datasets.image_files.folder_listing import contents_digest
from distillation_bench.datasets.image_files.read_errors import one_line

SEVERITIES = 5
CORRUPTED_SHAPE = (3, 32, 32)
LABELS = "labels.npy"


def corruption_names(folder: Path, dataset: type[Dataset]) -> dict[str, Path]:
    """Return the file of each corruption; gaussian_noise.npy is "c-gaussian-noise".

    The prefix c- distinguishes the brightness of CIFAR-10-C from the shift of that name.

    Raises:
        BadData: there are no corruptions or no labels, or the dataset's images are not 3x32x32.
    """
    if dataset.shape != CORRUPTED_SHAPE:
        raise BadData(f"{folder}: corrupted images are 3x32x32, those of {dataset.name} are not")
    if not (folder / LABELS).is_file():
        raise BadData(f"no {LABELS} in {folder}")
    files = sorted(file for file in folder.glob("[!.]*.npy") if file.name != LABELS)
    if not files:
        raise BadData(f"no .npy files of corrupted images in {folder}")
    return {f"c-{file.stem.replace('_', '-')}": file for file in files}


def corruptions_identity(folder: Path, dataset: type[Dataset]) -> Any:
    """Return a plain value that differs if the files of the folder differ.

    Raises:
        BadData: as `corruption_names`.
    """
    files = corruption_names(folder, dataset)
    return contents_digest(folder, [folder / LABELS, *files.values()])


def corrupted(
    folder: Path, dataset: type[Dataset], labels: np.ndarray, rows: np.ndarray | None = None
) -> Iterator[tuple[tuple[str, int], np.ndarray]]:
    """Yield (corruption, severity 1..5) and the images [N, 3, 32, 32] uint8, in test order.

    Args:
        folder: of the .npy files.
        dataset: whose test set was corrupted.
        labels: of the whole test set [N].
        rows: of the test set; all by default.

    Raises:
        BadData: a file is broken, or does not belong to this test set.
    """
    names = corruption_names(folder, dataset)
    stored_labels = _array(folder / LABELS)
    if not np.array_equal(stored_labels, np.tile(labels, SEVERITIES)):
        raise BadData(f"{folder / LABELS}: not the labels of {dataset.name}'s test set, five times")
    selected = np.arange(len(labels)) if rows is None else rows
    for name, file in names.items():
        images = _array(file)
        expected = (SEVERITIES * len(labels), 32, 32, 3)
        if images.dtype != np.uint8 or images.shape != expected:
            raise BadData(f"{file}: {images.dtype} {images.shape}, not uint8 {expected}")
        for severity in range(1, SEVERITIES + 1):
            at_severity = images[(severity - 1) * len(labels) + selected]
            yield (name, severity), np.ascontiguousarray(at_severity.transpose(0, 3, 1, 2))


def _array(file: Path) -> np.ndarray:
    """Map a .npy file into memory; BadData if it is broken."""
    try:
        array: np.ndarray = np.load(file, mmap_mode="r", allow_pickle=False)
    except Exception as error:
        raise BadData(f"{file}: not a whole .npy file ({one_line(error)})") from error
    return array
