"""Every metric by name: what it applies to, which direction is better, and its function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from distillation_bench.bench.common.errors import nearest
from distillation_bench.bench.metrics import (
    classification,
    diversity,
    fidelity,
    ood_detection,
    regression,
)
from distillation_bench.bench.metrics.outcome import ClassOutcome, Outcome, ValueOutcome
from distillation_bench.bench.metrics.uncertainties import UNCERTAINTIES

MetricKind = Literal["labelled", "unlabelled", "ood", "fidelity"]
Direction = Literal["higher", "lower", ""]
TASKS = ("classification", "regression", "any")
RESERVED = frozenset(
    (
        *("dataset", "method", "label", "seed", "status", "set", "shift", "severity", "metric"),
        *("score", "value", "parameters", "flops", "n", "cells"),
    )
)
"""Columns that are no metric's."""


@dataclass(frozen=True)
class Metric:
    """A figure of a prediction.

    Attributes:
        name: in columns and options.
        task: "classification", "regression" or "any".
        kind: what `function` takes. "labelled": an outcome with targets; "unlabelled": any
            outcome; "ood": the scores of the test set and of an OOD set; "fidelity": the
            student's outcome and the teacher's on the same set.
        better: the better direction; empty where there is none.
        function: gives a float; nan or inf are shown as such.
        headline: whether it is a column of results.csv and of the leaderboard.
        summary: one line.
    """

    name: str
    task: Literal["classification", "regression", "any"]
    kind: MetricKind
    better: Direction
    function: Callable[..., float]
    headline: bool = False
    summary: str = ""

    def applies(self, task: str) -> bool:
        """Whether it is defined for a task."""
        return self.task in (task, "any")


METRICS: dict[str, Metric] = {}


def _origin(metric: Metric) -> tuple[str, str]:
    return metric.function.__module__, metric.function.__qualname__


def register(metric: Metric) -> Metric:
    """Add a metric.

    Raises:
        ValueError: another one has the name, the name is a column's, or a value is none of those
            that there are.
    """
    if not metric.name.isidentifier() or metric.name in RESERVED:
        raise ValueError(f"metric {metric.name!r}: not a name that a column can have")
    for field, values in (
        ("task", TASKS),
        ("kind", get_args(MetricKind)),
        ("better", get_args(Direction)),
    ):
        value = getattr(metric, field)
        if value not in values:
            raise ValueError(f"metric {metric.name}: {field} {value!r}{nearest(value, values)}")
    known = METRICS.get(metric.name)
    if known is not None and _origin(known) != _origin(metric):
        raise ValueError(f"a metric named {metric.name!r} exists already")
    METRICS[metric.name] = metric
    return metric


def metric(
    task: Literal["classification", "regression", "any"],
    better: Direction,
    kind: MetricKind = "labelled",
    headline: bool = False,
) -> Callable[[Callable[..., float]], Callable[..., float]]:
    """Register a function as a metric of the function's name; for plugins.

    Example: `@metric(task="classification", better="higher", headline=True)`.
    """

    def decorate(function: Callable[..., float]) -> Callable[..., float]:
        summary = (function.__doc__ or "").strip().split("\n")[0]
        register(Metric(function.__name__, task, kind, better, function, headline, summary))
        return function

    return decorate


def _add(
    name: str, task: Any, kind: MetricKind, better: Direction, function: Any, summary: str
) -> None:
    register(Metric(name, task, kind, better, function, name in _HEADLINES, summary))


_HEADLINES = ("ood_auroc", "teacher_tv_epistemic")


@metric("classification", "higher", headline=True)
def accuracy(outcome: ClassOutcome) -> float:
    """Share of right top-1 classes."""
    return classification.accuracy(outcome.probabilities, outcome.targets)


@metric("any", "lower", headline=True)
def nll(outcome: Outcome) -> float:
    """Negative log-likelihood of the mixture, nats."""
    return classification.nll(outcome.log_likelihood)


@metric("classification", "lower", headline=True)
def ece(outcome: ClassOutcome) -> float:
    """Expected calibration error, 15 equal-width bins."""
    return classification.ece(outcome.probabilities, outcome.targets)


@metric("classification", "lower")
def ece_10(outcome: ClassOutcome) -> float:
    """Expected calibration error, 10 equal-width bins, as in arXiv 2205.09526."""
    return classification.ece(outcome.probabilities, outcome.targets, bins=10)


@metric("classification", "lower", headline=True)
def brier(outcome: ClassOutcome) -> float:
    """Squared error of the probabilities, summed over classes, 0 to 2."""
    return classification.brier(outcome.probabilities, outcome.targets)


@metric("regression", "lower", headline=True)
def rmse(outcome: ValueOutcome) -> float:
    """Root mean squared error of the mean."""
    return regression.rmse(outcome.mean, outcome.targets)


@metric("regression", "lower", headline=True)
def crps(outcome: ValueOutcome) -> float:
    """Continuous ranked probability score of the mixture."""
    return regression.crps_mixture(outcome.means, outcome.variances, outcome.targets)


@metric("regression", "lower")
def mae(outcome: ValueOutcome) -> float:
    """Mean absolute error of the mean."""
    return regression.mae(outcome.mean, outcome.targets)


@metric("classification", "lower")
def adaptive_ece(outcome: ClassOutcome) -> float:
    """Expected calibration error, 15 bins of equal mass."""
    return classification.adaptive_ece(outcome.probabilities, outcome.targets)


@metric("classification", "", kind="unlabelled")
def temperature(outcome: ClassOutcome) -> float:
    """The temperature fitted on validation, within 0.05 and 20."""
    return outcome.temperature


@metric("classification", "", kind="unlabelled")
def temperature_at_bound(outcome: ClassOutcome) -> float:
    """1 where the best temperature lies at 0.05 or 20, or beyond; else 0."""
    bounds = classification.LOWEST_TEMPERATURE, classification.HIGHEST_TEMPERATURE
    return float(outcome.temperature in bounds)


@metric("classification", "lower")
def nll_tempered(outcome: ClassOutcome) -> float:
    """NLL after a temperature fitted on validation, nats."""
    log_p = classification.temper(outcome.log_mean, outcome.temperature)
    return classification.nll(log_p[np.arange(len(log_p)), outcome.targets])


@metric("classification", "lower")
def ece_tempered(outcome: ClassOutcome) -> float:
    """ECE after a temperature fitted on validation."""
    log_p = classification.temper(outcome.log_mean, outcome.temperature)
    return classification.ece(np.exp(log_p), outcome.targets)


@metric("classification", "higher")
def misclassification_auroc(outcome: ClassOutcome) -> float:
    """Errors told from right answers by total uncertainty."""
    return classification.misclassification_auroc(
        outcome.total, outcome.probabilities, outcome.targets
    )


@metric("classification", "lower")
def aurc(outcome: ClassOutcome) -> float:
    """Area under risk against coverage, by total uncertainty."""
    return classification.aurc(outcome.total, outcome.probabilities, outcome.targets)


@metric("classification", "", kind="unlabelled")
def disagreement(outcome: ClassOutcome) -> float:
    """Share of pairs of heads with other top-1 classes."""
    if outcome.log_members is None:
        return float("nan")
    return diversity.disagreement(outcome.log_members)


@metric("any", "", kind="unlabelled")
def epistemic_unbiased(outcome: Any) -> float:
    """Mean epistemic uncertainty of S samples times S / (S − 1); a Dirichlet's as it is."""
    samples = outcome.means if isinstance(outcome, ValueOutcome) else outcome.log_members
    count = len(samples) if samples is not None else 1
    return float(outcome.epistemic.mean() * (count / (count - 1) if count > 1 else 1.0))


@metric("any", "", kind="unlabelled")
def pairwise_kl(outcome: Any) -> float:
    """KL between heads, mean over ordered pairs, nats."""
    if isinstance(outcome, ValueOutcome):
        return diversity.pairwise_kl_gaussian(outcome.means, outcome.variances)
    if outcome.log_members is None:
        return float("nan")
    return diversity.pairwise_kl(outcome.log_members)


@metric("regression", "", kind="unlabelled")
def variance_capped(outcome: ValueOutcome) -> float:
    """Share of the heads' variances at the bounds of a variance, exp(±15)."""
    return regression.share_at_bounds(outcome.variances, outcome.log_variance_limit)


@metric("regression", "", kind="fidelity")
def teacher_variance_capped(student: ValueOutcome, teacher: ValueOutcome) -> float:
    """The same of the members' variances."""
    return variance_capped(teacher)


FLAGS = ("temperature_at_bound", "variance_capped", "teacher_variance_capped")
"""Beside the headline figures in results.csv: what tables have to say where it is above 0."""


@metric("any", "lower", kind="fidelity", headline=True)
def teacher_kl(student: Any, teacher: Any) -> float:
    """KL from the teacher's mean to the student's, nats; between Gaussians in regression."""
    if isinstance(student, ValueOutcome):
        return fidelity.kl_of_gaussians(teacher.mean, teacher.total, student.mean, student.total)
    return fidelity.kl_of_means(teacher.log_mean, student.log_mean)


@metric("classification", "higher", kind="fidelity")
def teacher_agreement(student: ClassOutcome, teacher: ClassOutcome) -> float:
    """Share of examples with the teacher's top-1 class."""
    return fidelity.agreement(teacher.probabilities, student.probabilities)


@metric("any", "higher", kind="fidelity")
def teacher_spearman(student: Outcome, teacher: Outcome) -> float:
    """Rank correlation of epistemic uncertainty with the teacher's."""
    return fidelity.spearman(teacher.epistemic, student.epistemic)


def _coverage(level: float) -> Callable[[ValueOutcome], float]:
    return lambda outcome: regression.coverage(
        outcome.means, outcome.variances, outcome.targets, level
    )


def _mean(uncertainty: str) -> Callable[[Outcome], float]:
    return lambda outcome: float(getattr(outcome, uncertainty).mean())


def end_of_bins(uncertainty: str, teacher: Any) -> float:
    """Where the last bin of a histogram ends.

    In classification at ln C, the largest entropy. A variance has no largest value, so that in
    regression it follows from the quartiles of the teacher's variances. The teacher's variance at
    an input is here the median of its members', not their mean: far from the data a few members may
    extrapolate to e^10, which is no scale for the others or for a student.
    """
    if isinstance(teacher, ClassOutcome):
        return float(np.log(teacher.log_mean.shape[1]))
    noise = 0.0 if uncertainty == "epistemic" else teacher.median_variance
    spread = 0.0 if uncertainty == "aleatoric" else teacher.epistemic
    return fidelity.robust_end(noise + spread)


def _total_variation(uncertainty: str) -> Callable[[Any, Any], float]:
    def distance(student: Any, teacher: Any) -> float:
        reference, values = getattr(teacher, uncertainty), getattr(student, uncertainty)
        return fidelity.histogram_distance(reference, values, end_of_bins(uncertainty, teacher))

    return distance


def _bin_width(uncertainty: str) -> Callable[[Any, Any], float]:
    return lambda student, teacher: end_of_bins(uncertainty, teacher) / fidelity.BINS


_add(
    "ood_auroc",
    "any",
    "ood",
    "higher",
    ood_detection.auroc,
    "OOD detection, AUROC; mean over OOD sets",
)
_add("ood_aupr", "any", "ood", "higher", ood_detection.aupr, "OOD detection, average precision")
_add(
    "ood_fpr95",
    "any",
    "ood",
    "lower",
    ood_detection.fpr95,
    "test flagged where 95 % of OOD are found",
)
for _level in (50, 90, 95):
    _summary = f"share of targets within the central {_level} % interval"
    _add(f"coverage{_level}", "regression", "labelled", "", _coverage(_level / 100), _summary)
for _name in UNCERTAINTIES:
    _add(_name, "any", "unlabelled", "", _mean(_name), f"mean {_name} uncertainty")
    _summary = f"total variation of {_name} histograms to the teacher's, 0 to 1"
    _add(f"teacher_tv_{_name}", "any", "fidelity", "lower", _total_variation(_name), _summary)
    _summary = f"width of the bins of teacher_tv_{_name}"
    _add(f"teacher_tv_{_name}_bin", "any", "fidelity", "", _bin_width(_name), _summary)
