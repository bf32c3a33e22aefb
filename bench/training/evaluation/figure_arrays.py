"""The arrays from which figures are drawn; they are stored beside the record of a cell.

They hold scores and uncertainties, but no images. All are float32. In their names, SET is the key
of an evaluation set, such as `test`, `test/rotation/3` or `ood:plane`:

    histogram/UNCERTAINTY/SET  [2, 50]  shares of examples by bin, of the student and the teacher
    upper/UNCERTAINTY/SET      [1]      upper end of the last of the 50 bins; the first begins at 0
    reliability/SET            [3, 15]  by bin of confidence: examples, mean confidence, accuracy
    roc/SCORE/SET              [201]    share of OOD inputs detected at the false alarm rates
                                        0, 0.005, …, 1
    fidelity/SET               [2, n]   epistemic uncertainty of the same n ≤ 500 examples by the
                                        student and the teacher
    canvas/x, canvas/y                  the dataset's grid of the plane or its noiseless curve
    canvas/mean                [N]      predictive mean, in regression
    canvas/UNCERTAINTY         [N]      total, aleatoric and epistemic uncertainty
    train/x, train/y                    the training points, which are drawn on the canvas
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from distillation_bench.bench.metrics.calibration import reliability
from distillation_bench.bench.metrics.fidelity import BINS, histogram
from distillation_bench.bench.metrics.ood_detection import detection_rates
from distillation_bench.bench.metrics.outcome import ClassOutcome, Outcome, ValueOutcome
from distillation_bench.bench.metrics.registry import histogram_end
from distillation_bench.bench.metrics.uncertainties import UNCERTAINTIES

if TYPE_CHECKING:
    from distillation_bench.bench.training.data import PreparedData

FigureArrays = dict[str, np.ndarray]
"""Arrays by the names above."""
FALSE_ALARM_RATES = np.linspace(0, 1, 201)
MOST_PAIRS = 500
"""The largest number of examples whose two epistemic uncertainties are stored."""


def set_arrays(key: str, outcome: Outcome, teacher: Outcome) -> FigureArrays:
    """Return the arrays of one evaluation set.

    These are histograms of the uncertainties, pairs of epistemic uncertainties and, for classes
    with targets, the reliability diagram. A histogram whose last bin has no finite end is left out.

    Args:
        key: of the evaluation set.
        outcome: the student's.
        teacher: the teacher's on the same set.
    """
    arrays: FigureArrays = {}
    for name in UNCERTAINTIES:
        upper = histogram_end(name, teacher)
        if np.isfinite(upper):
            pair = [histogram(getattr(of, name), upper, BINS) for of in (outcome, teacher)]
            arrays[f"histogram/{name}/{key}"] = np.stack(pair)
            arrays[f"upper/{name}/{key}"] = np.array([upper])
    step = -(-len(outcome.epistemic) // MOST_PAIRS)
    arrays[f"fidelity/{key}"] = np.stack([outcome.epistemic[::step], teacher.epistemic[::step]])
    if isinstance(outcome, ClassOutcome) and outcome.targets is not None:
        arrays[f"reliability/{key}"] = reliability(outcome.probabilities, outcome.targets)
    return arrays


def detection_arrays(
    key: str, inside: Mapping[str, np.ndarray], outside: Mapping[str, np.ndarray]
) -> FigureArrays:
    """Return the ROC curve of one OOD set for each score.

    Args:
        key: of the OOD set.
        inside: the scores of the test set, by name [N].
        outside: the scores of the OOD set, by name [M].
    """
    return {
        f"roc/{score}/{key}": detection_rates(inside[score], outside[score], FALSE_ALARM_RATES)
        for score in inside
    }


def canvas_arrays(outcome: Outcome, data: PreparedData) -> FigureArrays:
    """Return what is drawn on the dataset's canvas.

    These are the uncertainties and, in regression, the predictive mean; the points of the canvas;
    and the training points.
    """
    assert data.canvas is not None and data.canvas.y is not None
    arrays = {f"canvas/{name}": getattr(outcome, name) for name in UNCERTAINTIES}
    if isinstance(outcome, ValueOutcome):
        arrays["canvas/mean"] = outcome.mean
    x, y = data.train
    points = {"canvas/x": data.canvas.x, "canvas/y": data.canvas.y, "train/x": x, "train/y": y}
    return arrays | {name: tensor.numpy() for name, tensor in points.items()}


def as_float32(arrays: FigureArrays) -> FigureArrays:
    """Return the arrays as they are stored: float32, contiguous in memory."""
    return {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}
