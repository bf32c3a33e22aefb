"""Three noisy spiral arms in the plane, the toy classification task of Hydra and Hydra+."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from distillation_bench.datasets.base import Dataset, DatasetArrays, OODGroup, Split, Stream

ARMS = 3
PER_ARM = 100
TEST_PER_ARM = 1000
TRAIN, VALIDATION = 240, 30
NOISE = 0.5
HALF_SIDE = 20.0
"""Half the side of the square that the canvas and the OOD set "plane" cover."""
RADIUS = 2 * np.pi
"""Radius of the disc that the arms fill."""
PLANE_DISTANCE = 2.0
"""Least distance of the points of "plane" from the training points."""
BETWEEN_DISTANCE = 0.8
"""Least distance of the points of "between"; 99 % of test points are nearer than 0.6."""
OOD_POINTS = 2000
GRID = 100


class Spiral(Dataset):
    """300 points on 3 arms, split at random 80/10/10 as in the original code.

    240 points train and 30 validate. The other 30 are not used, because they are too few to compare
    methods: the test set has 3,000 new points of the same formula, 1,000 on each arm.

    OOD set "between" (near): points uniform on the disc of radius 2 pi, which the arms fill, but
    farther than 0.8 from every training point, which leaves a fifth of the disc.
    OOD set "plane" (far): points uniform on [-20, 20]^2, farther than 2 from every training point.
    Canvas: a grid of 100 x 100 points on the same square, row by row from the lowest, so that a
    map of values is `values.reshape(100, 100)`; y is -1, which is no class.
    """

    name = "spiral"
    summary = "three spiral arms in the plane, 240 training points"
    source = "Ferianc & Rodrigues 2022, arXiv 2205.09526 (hydra_plus)"
    task = "classification"
    shape = (2,)
    outputs = ARMS
    examples = TRAIN
    network: ClassVar[Mapping[str, Any]] = {
        "family": "mlp",
        "member": [100] * 4,
        "core": [100] * 3,
        "head": [100],
    }
    recipe: ClassVar[Mapping[str, Any]] = {
        "epochs": 200,
        "batch_size": 256,
        "learning_rate": 0.01,
        "weight_decay": 1e-4,
        "student_weight_decay": 1e-8,
        "clip": 5.0,
    }
    defaults: ClassVar[Mapping[str, Any]] = {"temperature": 3.0, "a": 0.9, "b": 0.5}
    ood_groups: ClassVar[Mapping[str, OODGroup]] = {"between": "near", "plane": "far"}
    shifts = ()

    def load(self, stream: Stream) -> DatasetArrays:
        points = arms(PER_ARM, stream("train"))
        order = stream("split").permutation(len(points))
        train = _rows(points, order[:TRAIN])
        return DatasetArrays(
            train=train,
            validation=_rows(points, order[TRAIN : TRAIN + VALIDATION]),
            test=arms(TEST_PER_ARM, stream("test")),
            shifted={},
            ood={
                "between": _between(train.x, stream("ood/between")),
                "plane": _plane(train.x, stream("ood/plane")),
            },
            canvas=_grid(),
        )


def arms(per_arm: int, rng: np.random.Generator) -> Split:
    """Return points [3 * per_arm, 2], arm by arm, and the arm of each [3 * per_arm].

    A point is (t cos t + U / 2, t sin t + U / 2) with t = sqrt(U) * 2 pi, where each U is a new
    draw from U(0, 1). It is then rotated counter-clockwise, with its noise, by the 0, 120 or 240
    degrees of its arm.
    """
    t = np.sqrt(rng.random((ARMS, per_arm))) * 2 * np.pi
    noise = NOISE * rng.random((ARMS, per_arm, 2))
    points = np.stack((t * np.cos(t), t * np.sin(t)), axis=-1) + noise
    angles = np.arange(ARMS) * 2 * np.pi / ARMS
    cos, sin = np.cos(angles), np.sin(angles)
    turn = np.stack((cos, sin, -sin, cos), axis=-1).reshape(ARMS, 2, 2)  # for row vectors
    return Split(
        x=(points @ turn).reshape(-1, 2).astype(np.float32),
        y=np.repeat(np.arange(ARMS, dtype=np.int64), per_arm),
    )


def _rows(split: Split, rows: np.ndarray) -> Split:
    return Split(split.x[rows], split.y[rows])


def _between(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    def draw() -> np.ndarray:
        square = rng.uniform(-RADIUS, RADIUS, (OOD_POINTS, 2))
        return np.asarray(square[np.hypot(*square.T) < RADIUS])

    return _distant_points(points, BETWEEN_DISTANCE, draw)


def _plane(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _distant_points(
        points, PLANE_DISTANCE, lambda: rng.uniform(-HALF_SIDE, HALF_SIDE, (OOD_POINTS, 2))
    )


def _distant_points(
    points: np.ndarray, distance: float, draw: Callable[[], np.ndarray]
) -> np.ndarray:
    """Draw OOD points [2000, 2] that are farther than `distance` from all of `points`."""
    accepted = np.empty((0, 2), np.float32)
    while len(accepted) < OOD_POINTS:
        # Rounded before the distance is measured, so that the stored points satisfy it.
        candidates = draw().astype(np.float32)
        differences = candidates[:, None, :].astype(np.float64) - points
        distant = (differences**2).sum(-1).min(1) > distance**2
        accepted = np.concatenate((accepted, candidates[distant]))
    return accepted[:OOD_POINTS]


def _grid() -> Split:
    axis = np.linspace(-HALF_SIDE, HALF_SIDE, GRID, dtype=np.float32)
    across, up = np.meshgrid(axis, axis)
    x = np.stack((across.ravel(), up.ravel()), axis=-1)
    return Split(x, np.full(len(x), -1, np.int64))
