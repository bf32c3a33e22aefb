"""Metrics of predictions: pure functions on NumPy arrays, and the registry that names them.

For plugins, importable from here:

    metric          decorator that registers a function as a metric
    Metric          what is registered: name, task, kind, better direction, function
    METRICS         all metrics by name
    Outcome         what a metric gets: a prediction on one evaluation set, as arrays
    ClassOutcome    an outcome of classification
    ValueOutcome    an outcome of regression

Modules:

    registry            every metric by name, and the decorator that adds one
    display             display name, unit and digits of each metric
    outcome             the arrays that metrics are computed from
    classification      accuracy, NLL, Brier score, AURC
    calibration         ECE, adaptive ECE, reliability diagrams
    temperature_scaling a temperature that minimises the NLL
    regression          RMSE, MAE, CRPS, coverage of intervals
    ood_detection       AUROC, average precision and FPR95 of OOD detection
    fidelity            KL, agreement and histogram distances to the teacher
    diversity           disagreement and KL between members or heads
    uncertainties       the names of the three uncertainties
    order_statistics    ranks and tie groups
"""

from distillation_bench.bench.metrics.outcome import ClassOutcome, Outcome, ValueOutcome
from distillation_bench.bench.metrics.registry import METRICS, Metric, metric

__all__ = [
    "METRICS",
    "ClassOutcome",
    "Metric",
    "Outcome",
    "ValueOutcome",
    "calibration",
    "classification",
    "display",
    "diversity",
    "fidelity",
    "metric",
    "ood_detection",
    "order_statistics",
    "outcome",
    "registry",
    "regression",
    "temperature_scaling",
    "uncertainties",
]
