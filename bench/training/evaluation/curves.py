"""What figures are drawn from, kept beside a cell's record; of scores and uncertainties, no images.

Arrays (float32) by name; SET is a key such as `test`, `test/rotation/3` or `ood:plane`:

    histogram/UNCERTAINTY/SET  [2, 50]  shares of examples, the student's and the teacher's
    upper/UNCERTAINTY/SET      [1]      end of the last of the 50 bins, the first begins at 0
    reliability/SET            [3, 15]  by bin of confidence: examples, mean confidence, accuracy
    roc/SCORE/SET              [201]    share of OOD inputs found, at false alarms of 0, 0.005 … 1
    fidelity/SET               [2, n]   epistemic uncertainty of the same examples, at most 500:
                                        the student's and the teacher's
    canvas/x, canvas/y                  the dataset's grid of the plane or noiseless curve
    canvas/mean                [N]      predictive mean, in regression
    canvas/UNCERTAINTY         [N]      total, aleatoric, epistemic
    train/x, train/y                    the training points under the canvas
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from distillation_bench.bench.metrics.classification import reliability
from distillation_bench.bench.metrics.fidelity import BINS, histogram
from distillation_bench.bench.metrics.ood_detection import detected
from distillation_bench.bench.metrics.outcome import ClassOutcome, Outcome, ValueOutcome
from distillation_bench.bench.metrics.registry import end_of_bins
from distillation_bench.bench.metrics.uncertainties import UNCERTAINTIES

if TYPE_CHECKING:
    from distillation_bench.bench.training.data import PreparedData

Curves = dict[str, np.ndarray]
FALSE_ALARMS = np.linspace(0, 1, 201)
PAIRS = 500


def of_set(key: str, outcome: Outcome, teacher: Outcome) -> Curves:
    """Of one evaluation set: histograms, fidelity and, with targets, reliability."""
    curves: Curves = {}
    for name in UNCERTAINTIES:
        upper = end_of_bins(name, teacher)
        if np.isfinite(upper):
            pair = [histogram(getattr(each, name), upper, BINS) for each in (outcome, teacher)]
            curves[f"histogram/{name}/{key}"] = np.stack(pair)
            curves[f"upper/{name}/{key}"] = np.array([upper])
    step = -(-len(outcome.epistemic) // PAIRS)
    curves[f"fidelity/{key}"] = np.stack([outcome.epistemic[::step], teacher.epistemic[::step]])
    if isinstance(outcome, ClassOutcome) and outcome.targets is not None:
        curves[f"reliability/{key}"] = reliability(outcome.probabilities, outcome.targets)
    return curves


def of_detection(
    key: str, inside: Mapping[str, np.ndarray], outside: Mapping[str, np.ndarray]
) -> Curves:
    """Of one OOD set, for each score: the ROC."""
    return {
        f"roc/{score}/{key}": detected(inside[score], outside[score], FALSE_ALARMS)
        for score in inside
    }


def of_canvas(outcome: Outcome, data: PreparedData) -> Curves:
    """Of the dataset's canvas: uncertainties, the mean in regression, and what lies under them."""
    assert data.canvas is not None and data.canvas.y is not None
    curves = {f"canvas/{name}": getattr(outcome, name) for name in UNCERTAINTIES}
    if isinstance(outcome, ValueOutcome):
        curves["canvas/mean"] = outcome.mean
    x, y = data.train
    points = {"canvas/x": data.canvas.x, "canvas/y": data.canvas.y, "train/x": x, "train/y": y}
    return curves | {name: tensor.numpy() for name, tensor in points.items()}


def compact(curves: Curves) -> Curves:
    """As they are stored."""
    return {name: np.ascontiguousarray(array, np.float32) for name, array in curves.items()}
