"""Handwritten digits of 8 x 8 pixels, which scikit-learn includes: real data without a download."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from distillation_bench.datasets.array_memo import ArrayMemo
from distillation_bench.datasets.base import Dataset, DatasetArrays, OODGroup, Split, Stream

if TYPE_CHECKING:
    import torch

SIDE = 8
WHITE = 16
"""The largest pixel value of the source."""
TRAIN, TRAIN_AND_VALIDATION = 0.5, 0.6
"""Where each class is cut: 50 % train, 10 % validate, 40 % test."""
PATCHES_PER_PHOTOGRAPH = 500
LEVELS: Mapping[str, tuple[float, float, float, float, float]] = {
    "rotation": (10.0, 15.0, 20.0, 25.0, 30.0),  # degrees clockwise
    "horizontal-shift": (0.25, 0.5, 0.75, 1.0, 1.25),  # pixels to the right
    "vertical-shift": (0.25, 0.5, 0.75, 1.0, 1.25),  # pixels downwards
}
"""The levels at severity 1 to 5, by shift.

The levels for larger images would move the digits, which fill the frame from top to bottom, out of
it, and reduce perceptrons to chance. With these levels at most a sixth of the ink is lost, on
average, and the accuracy of a teacher falls from 0.97 to 0.3.
"""
LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601)."""


class Digits(Dataset):
    """1,797 digits of 13 writers as x [N, 64] in [0, 1], split 50/10/40 within each class.

    Shifted test sets: rotation, horizontal and vertical shift by LEVELS.

    OOD set "patches": 1,000 grey patches of 8 x 8 pixels, 500 from random positions in each of
    scikit-learn's two sample photographs.

    The recipe was chosen for this suite by the validation accuracy of ensembles of 5 members.
    """

    name = "digits"
    summary = "scikit-learn's 8x8 handwritten digits, about 900 training images"
    source = "Alpaydin & Kaynak 1998, UCI optical digits (test part), from scikit-learn"
    task = "classification"
    shape = (SIDE * SIDE,)
    outputs = 10
    examples = 898
    network: ClassVar[Mapping[str, Any]] = {
        "family": "mlp",
        "member": [128, 128],
        "core": [128],
        "head": [128],
    }
    recipe: ClassVar[Mapping[str, Any]] = {
        "epochs": 100,
        "batch_size": 128,
        "learning_rate": 0.01,
        "weight_decay": 1e-3,
        "student_weight_decay": 1e-7,
        "clip": 5.0,
    }
    defaults: ClassVar[Mapping[str, Any]] = {"temperature": 4.0, "a": 0.9, "b": 0.5}
    ood_groups: ClassVar[Mapping[str, OODGroup]] = {"patches": "far"}
    shifts = ("rotation", "horizontal-shift", "vertical-shift")

    def load(self, stream: Stream) -> DatasetArrays:
        everything = _read()
        in_distribution = everything.y < self.outputs
        digits = _rows(everything, np.flatnonzero(in_distribution))
        train, validation, test = (_rows(digits, rows) for rows in _cut(digits.y, stream("split")))
        ood = {"patches": _patches(stream("ood/patches"))}
        if not in_distribution.all():
            ood = {"digits-8-9": everything.x[~in_distribution], **ood}
        return DatasetArrays(train, validation, test, _shifted(test, self.shifts), ood, canvas=None)


class DigitsWithout89(Digits):
    """Digits 0 to 7; the OOD set "digits-8-9" has every 8 and 9.

    Its splits come from its own random streams: they are not those of "digits" without 8 and 9.
    """

    name = "digits-0-7"
    summary = "digits 0 to 7, with 8 and 9 held out as near out-of-distribution"
    outputs = 8
    examples = 721
    ood_groups: ClassVar[Mapping[str, OODGroup]] = {"digits-8-9": "near", "patches": "far"}


def _read() -> Split:
    """Return all 1,797 digits."""
    table = _included("digits", _digits)
    return Split((table[:, :-1] / WHITE).astype(np.float32), table[:, -1].astype(np.int64))


def _included(name: str, load: Callable[[], np.ndarray]) -> np.ndarray:
    """Load data that scikit-learn includes, once for all seeds.

    Importing scikit-learn takes a hundred times as long as reading the stored array.
    """
    return ArrayMemo.load_or_make(f"scikit-learn {version('scikit-learn')}: {name}", load)


def _digits() -> np.ndarray:
    """Return pixels and, in the last column, the digit, [1797, 65]."""
    from sklearn.datasets import load_digits  # type: ignore[import-untyped, unused-ignore]

    return np.column_stack(load_digits(return_X_y=True))


def _photographs() -> np.ndarray:
    """Return both sample photographs, [2, height, width, 3] uint8."""
    from sklearn.datasets import load_sample_images

    return np.stack(load_sample_images().images)


def _rows(split: Split, rows: np.ndarray) -> Split:
    return Split(split.x[rows], split.y[rows])


def _cut(labels: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the rows of train, validation and test, each ascending, stratified by class.

    Classes are permuted in ascending order, so that the splits of a class do not depend on whether
    later classes are left out.
    """
    classes = [rng.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    parts = [
        np.split(rows, [round(at * len(rows)) for at in (TRAIN, TRAIN_AND_VALIDATION)])
        for rows in classes
    ]
    return [np.sort(np.concatenate(of_classes)) for of_classes in zip(*parts, strict=True)]


def _shifted(test: Split, names: tuple[str, ...]) -> dict[tuple[str, int], Split]:
    """Return the shifted test sets by (shift, severity)."""
    import torch

    images = torch.from_numpy(test.x.reshape(-1, 1, SIDE, SIDE))
    return {
        (name, severity): Split(_apply(images, name, level).reshape(test.x.shape).numpy(), test.y)
        for name in names
        for severity, level in enumerate(LEVELS[name], start=1)
    }


def _apply(images: torch.Tensor, name: str, level: float) -> torch.Tensor:
    """Return images [N, 1, 8, 8] under a shift at a level.

    A pixel counts the ink of 4 x 4 points of the scan, so a quarter of a pixel is one point.
    """
    from distillation_bench.datasets.shifts import rotate, translate

    if name == "rotation":
        return rotate(images, level)
    step = (1, 0) if name == "horizontal-shift" else (0, 1)
    whole, part = divmod(level, 1)
    near, far = (
        translate(images, int(pixels) * step[0], int(pixels) * step[1])
        for pixels in (whole, whole + 1)
    )
    return (1 - part) * near + part * far


def _patches(rng: np.random.Generator) -> np.ndarray:
    """Return grey patches [1000, 64] in [0, 1], photograph by photograph."""
    patches = []
    for photograph in _included("photographs", _photographs):
        grey = photograph @ np.array(LUMA) / 255
        windows = np.lib.stride_tricks.sliding_window_view(grey, (SIDE, SIDE))
        rows = rng.integers(windows.shape[0], size=PATCHES_PER_PHOTOGRAPH)
        columns = rng.integers(windows.shape[1], size=PATCHES_PER_PHOTOGRAPH)
        patches.append(windows[rows, columns].reshape(-1, SIDE * SIDE))
    return np.concatenate(patches).astype(np.float32)
