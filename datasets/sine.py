"""A noisy curve on the line, the toy regression task of Hydra and Hydra+."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from distillation_bench.datasets.base import Dataset, DatasetArrays, OODGroup, Split, Stream

EDGE = 6.0
"""Inputs of the splits are in [-6, 6]."""
FAR_EDGE = 12.0
"""OOD inputs and the canvas reach to ±12."""
TRAIN, VALIDATION, TEST = 240, 30, 1000
OOD_POINTS = 1000
CANVAS_POINTS = 1000


class Sine(Dataset):
    """y = sin x - 0.1 x + 0.1 x^2 + 0.01 x^3 + N(0, 1), x uniform on [-6, 6].

    240 points train, 30 validate, 1,000 test, all with noise. A test set without noise, as the
    30 points on a grid of the original code, would reward a variance that is too small.

    OOD set "outside": x uniform on 6 < |x| <= 12.
    Canvas: 1,000 grid points on [-12, 12] with the noiseless curve.
    """

    name = "sine"
    summary = "a noisy curve on the line, 240 training points"
    source = "Ferianc & Rodrigues 2022, arXiv 2205.09526 (hydra_plus, there 'regress')"
    task = "regression"
    shape = (1,)
    outputs = 2
    examples = TRAIN
    network: ClassVar[Mapping[str, Any]] = {
        "family": "mlp",
        "member": [50, 50, 50],
        "core": [50, 50],
        "head": [50],
    }
    recipe: ClassVar[Mapping[str, Any]] = {
        "epochs": 200,
        "batch_size": 256,
        "learning_rate": 0.05,
        "weight_decay": 1e-5,
        "student_weight_decay": 1e-8,
        "clip": 5.0,
    }
    defaults: ClassVar[Mapping[str, Any]] = {"temperature": 1.0, "a": 0.9, "b": 0.5}
    ood_groups: ClassVar[Mapping[str, OODGroup]] = {"outside": "far"}
    shifts = ()

    gap: ClassVar[float] = 0.0
    """The least distance from 0 of the inputs of the splits."""

    def load(self, stream: Stream) -> DatasetArrays:
        return DatasetArrays(
            train=_noisy(TRAIN, self.gap, stream("train")),
            validation=_noisy(VALIDATION, self.gap, stream("validation")),
            test=_noisy(TEST, self.gap, stream("test")),
            shifted={},
            ood=self._ood(stream),
            canvas=_canvas(),
        )

    def _ood(self, stream: Stream) -> Mapping[str, np.ndarray]:
        return {"outside": _outside(stream("ood/outside"))}


class SineGap(Sine):
    """The same curve with a gap in its middle: x of all splits uniform on 2 <= |x| <= 6.

    OOD set "gap" (near): x uniform on |x| < 2, between the halves of the data.
    """

    name = "sine-gap"
    summary = "the curve of sine with a gap in the middle, 240 training points"
    source = "this suite; the curve is that of sine"
    ood_groups: ClassVar[Mapping[str, OODGroup]] = {"gap": "near"}
    gap = 2.0

    def _ood(self, stream: Stream) -> Mapping[str, np.ndarray]:
        return {"gap": _in_gap(self.gap, stream("ood/gap"))}


def curve(x: np.ndarray) -> np.ndarray:
    """Return the mean of y at x, of the same shape."""
    return np.asarray(np.sin(x) - 0.1 * x + 0.1 * x**2 + 0.01 * x**3)


def _noisy(count: int, gap: float, rng: np.random.Generator) -> Split:
    """Return points with noise, whose inputs are at least `gap` from 0."""
    # Both sides are drawn next to each other, then moved apart.
    x = rng.uniform(gap - EDGE, EDGE - gap, count)
    x += np.copysign(gap, x)
    return _split(x, curve(x) + rng.standard_normal(count))


def _outside(rng: np.random.Generator) -> np.ndarray:
    """Return inputs [1000, 1] with 6 < |x| <= 12, on either side with probability ½."""
    distance = FAR_EDGE - (FAR_EDGE - EDGE) * rng.random(OOD_POINTS)  # in (6, 12]
    # At least the first float32 above 6, because rounding could give 6 itself.
    beyond = np.nextafter(np.float32(EDGE), np.float32(FAR_EDGE))
    side = rng.choice(np.array((-1.0, 1.0), np.float32), OOD_POINTS)
    return (side * np.maximum(distance.astype(np.float32), beyond))[:, None]


def _in_gap(gap: float, rng: np.random.Generator) -> np.ndarray:
    """Return inputs [1000, 1] with |x| < gap, also after rounding to float32."""
    edge = np.nextafter(np.float32(gap), np.float32(0))
    return np.clip(rng.uniform(-gap, gap, OOD_POINTS).astype(np.float32), -edge, edge)[:, None]


def _canvas() -> Split:
    """Return the curve without noise on a grid."""
    x = np.linspace(-FAR_EDGE, FAR_EDGE, CANVAS_POINTS)
    return _split(x, curve(x))


def _split(x: np.ndarray, y: np.ndarray) -> Split:
    return Split(x[:, None].astype(np.float32), y.astype(np.float32))
