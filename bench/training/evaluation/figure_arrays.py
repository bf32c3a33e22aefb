"""The arrays from which figures are drawn; they are stored beside the record of a cell.

They hold scores and uncertainties, but no images. All are float32. In their names, SET is the key
of an evaluation set, such as `test`, `test/rotation/3` or `ood:plane`:

    histogram/UNCERTAINTY/SET  [2, 50]  shares of examples by bin, of the student and the teacher
    upper/UNCERTAINTY/SET      [1]      upper end of the last of the 50 bins; the first begins at 0
    reliability/SET            [3, 15]  by bin of confidence: examples, mean confidence, accuracy
    roc/SCORE/SET              [201]    share of OOD inputs detected at the false alarm rates
                                        0, 0.005, …, 1
    selective/SET              [100]    share of errors among the 1, 2, …, 100 % of the examples
                                        whose total uncertainty is lowest; ties count in expectation
    fidelity/SET               [2, n]   epistemic uncertainty of the same n ≤ 500 examples by the
                                        student and the teacher; not on shifted test sets
    canvas/x, canvas/y                  the dataset's grid of the plane or its noiseless curve
    canvas/mean                [N]      predictive mean, in regression
    canvas/UNCERTAINTY         [N]      total, aleatoric and epistemic uncertainty
    canvas/passes              [S, n]   in regression, the means of S ≤ 10 functions that the
                                        student consists of (heads, or passes with one mask or one
                                        sample of the weights), at every k-th point of the canvas,
                                        so that n ≤ 250
    train/x, train/y                    the training points, which are drawn on the canvas
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from distillation_bench.bench.metrics.calibration import reliability
from distillation_bench.bench.metrics.classification import risks
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
COVERAGES = np.arange(1, 101)
"""Percentages of the examples."""
MOST_PAIRS = 500
"""The largest number of examples whose two epistemic uncertainties are stored."""
MOST_PASSES = 10
MOST_POINTS = 250
"""The largest number of points of the canvas at which passes are stored."""


def set_arrays(key: str, outcome: Outcome, teacher: Outcome) -> FigureArrays:
    """Return the arrays of one evaluation set.

    These are histograms of the uncertainties and, for classes with targets, the reliability diagram
    and the risk-coverage curve. A histogram whose last bin has no finite end is left out.

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
    if isinstance(outcome, ClassOutcome) and outcome.targets is not None:
        arrays[f"reliability/{key}"] = reliability(outcome.probabilities, outcome.targets)
        curve = risks(outcome.total, outcome.probabilities, outcome.targets)
        arrays[f"selective/{key}"] = curve[-(-COVERAGES * len(curve) // 100) - 1]
    return arrays


def fidelity_arrays(key: str, outcome: Outcome, teacher: Outcome) -> FigureArrays:
    """Return pairs of epistemic uncertainties, of the student and the teacher on one set."""
    step = -(-len(outcome.epistemic) // MOST_PAIRS)
    return {f"fidelity/{key}": np.stack([outcome.epistemic[::step], teacher.epistemic[::step]])}


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


def canvas_arrays(outcome: Outcome, passes: Outcome, data: PreparedData) -> FigureArrays:
    """Return what is drawn on the dataset's canvas.

    These are the uncertainties and, in regression, the predictive mean and the means of single
    functions; the points of the canvas; and the training points.

    Args:
        outcome: on the canvas.
        passes: the same of functions; see `Method.passes`.
        data: hold the canvas.
    """
    assert data.canvas is not None and data.canvas.y is not None
    arrays = {f"canvas/{name}": getattr(outcome, name) for name in UNCERTAINTIES}
    if isinstance(outcome, ValueOutcome) and isinstance(passes, ValueOutcome):
        step = -(-len(outcome.mean) // MOST_POINTS)
        arrays["canvas/mean"] = outcome.mean
        if passes.components:
            arrays["canvas/passes"] = passes.components[0][:MOST_PASSES, ::step]
    x, y = data.train
    points = {"canvas/x": data.canvas.x, "canvas/y": data.canvas.y, "train/x": x, "train/y": y}
    return arrays | {name: tensor.numpy() for name, tensor in points.items()}


def as_float32(arrays: FigureArrays) -> FigureArrays:
    """Return the arrays as they are stored: float32, contiguous in memory."""
    return {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}
