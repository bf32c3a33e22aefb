"""Every metric by name: the task it applies to, the better direction, and its function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

import numpy as np

from distillation_bench.bench.common.errors import nearest
from distillation_bench.bench.metrics import (
    calibration,
    classification,
    diversity,
    fidelity,
    ood_detection,
    regression,
    temperature_scaling,
)
from distillation_bench.bench.metrics.outcome import ClassOutcome, Outcome, ValueOutcome
from distillation_bench.bench.metrics.uncertainties import UNCERTAINTIES

MetricKind = Literal["labelled", "unlabelled", "ood", "teacher_ood", "fidelity"]
Direction = Literal["higher", "lower", ""]
MetricFunction = TypeVar("MetricFunction", bound=Callable[..., float | None])
TASKS = ("classification", "regression", "any")
RESERVED = frozenset(
    (
        *("dataset", "method", "label", "seed", "status", "set", "shift", "severity", "metric"),
        *("score", "value", "parameters", "flops", "n", "cells"),
    )
)
"""Names of columns that a metric can't have."""


@dataclass(frozen=True)
class Metric:
    """A measure of a prediction.

    Attributes:
        name: in columns and options.
        task: "classification", "regression" or "any".
        kind: the arguments of `function`. "labelled": an outcome with targets; "unlabelled": any
            outcome; "ood": the student's scores [N] of the test set and [M] of an OOD set;
            "teacher_ood": the teacher's; "fidelity": the student's outcome and the teacher's on the
            same set.
        better: the better direction, "higher" or "lower"; empty if there is none.
        function: returns a float, of which nan and inf are shown as such, or None for a prediction
            that cannot have the metric: then there is no value.
        headline: whether the metric is a column of results.csv and of the leaderboard.
        summary: one line.
    """

    name: str
    task: Literal["classification", "regression", "any"]
    kind: MetricKind
    better: Direction
    function: Callable[..., float | None]
    headline: bool = False
    summary: str = ""

    def applies(self, task: str) -> bool:
        """Return whether the metric is defined for a task."""
        return self.task in (task, "any")


METRICS: dict[str, Metric] = {}


def _origin(metric: Metric) -> tuple[str, str]:
    return metric.function.__module__, metric.function.__qualname__


def register(metric: Metric) -> Metric:
    """Add a metric to the registry.

    Raises:
        ValueError: the name is taken, reserved or not an identifier, or an attribute has a value
            that is not allowed.
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
    registered = METRICS.get(metric.name)
    if registered is not None and _origin(registered) != _origin(metric):
        raise ValueError(f"a metric named {metric.name!r} exists already")
    METRICS[metric.name] = metric
    return metric


def metric(
    task: Literal["classification", "regression", "any"],
    better: Direction,
    kind: MetricKind = "labelled",
    headline: bool = False,
) -> Callable[[MetricFunction], MetricFunction]:
    """Return a decorator that registers a function as a metric under the function's name.

    The first line of the function's docstring is the metric's summary. The arguments are those of
    `Metric`; example: `@metric(task="classification", better="higher", headline=True)`.
    """

    def decorate(function: MetricFunction) -> MetricFunction:
        summary = (function.__doc__ or "").strip().split("\n")[0]
        register(Metric(function.__name__, task, kind, better, function, headline, summary))
        return function

    return decorate


@metric("classification", "higher", headline=True)
def accuracy(outcome: ClassOutcome) -> float:
    """Share of correct top-1 classes."""
    return classification.accuracy(outcome.probabilities, outcome.targets)


@metric("any", "lower", headline=True)
def nll(outcome: Outcome) -> float:
    """Negative log-likelihood of the mixture, nats."""
    return classification.nll(outcome.log_likelihood)


@metric("classification", "lower", headline=True)
def ece(outcome: ClassOutcome) -> float:
    """Expected calibration error, 15 equal-width bins."""
    return calibration.ece(outcome.probabilities, outcome.targets)


@metric("classification", "lower")
def ece_10(outcome: ClassOutcome) -> float:
    """Expected calibration error, 10 equal-width bins, as in arXiv 2205.09526."""
    return calibration.ece(outcome.probabilities, outcome.targets, bins=10)


@metric("classification", "lower", headline=True)
def brier(outcome: ClassOutcome) -> float:
    """Squared error of the probabilities, summed over classes, 0 to 2."""
    return classification.brier(outcome.probabilities, outcome.targets)


@metric("regression", "lower", headline=True)
def rmse(outcome: ValueOutcome) -> float:
    """Root mean squared error of the mean."""
    return regression.rmse(outcome.mean, outcome.targets)


@metric("regression", "lower", headline=True)
def crps(outcome: ValueOutcome) -> float | None:
    """Continuous ranked probability score."""
    if outcome.components:
        return regression.crps_mixture(*outcome.components, outcome.targets)
    return None if outcome.crps is None else float(outcome.crps.mean())


@metric("regression", "lower")
def mae(outcome: ValueOutcome) -> float:
    """Mean absolute error of the mean."""
    return regression.mae(outcome.mean, outcome.targets)


@metric("classification", "lower")
def adaptive_ece(outcome: ClassOutcome) -> float:
    """Expected calibration error, 15 bins of equal mass."""
    return calibration.adaptive_ece(outcome.probabilities, outcome.targets)


@metric("classification", "", kind="unlabelled")
def temperature(outcome: ClassOutcome) -> float:
    """The temperature fitted on validation, within 0.05 and 20."""
    return outcome.temperature


@metric("classification", "", kind="unlabelled")
def temperature_at_bound(outcome: ClassOutcome) -> float:
    """1 where the best temperature lies at 0.05 or 20, or beyond; else 0."""
    bounds = temperature_scaling.LOWEST_TEMPERATURE, temperature_scaling.HIGHEST_TEMPERATURE
    return float(outcome.temperature in bounds)


@metric("classification", "lower")
def nll_tempered(outcome: ClassOutcome) -> float:
    """NLL after a temperature fitted on validation, nats."""
    log_p = temperature_scaling.temper(outcome.log_mean, outcome.temperature)
    return classification.nll(log_p[np.arange(len(log_p)), outcome.targets])


@metric("classification", "lower")
def ece_tempered(outcome: ClassOutcome) -> float:
    """ECE after a temperature fitted on validation."""
    log_p = temperature_scaling.temper(outcome.log_mean, outcome.temperature)
    return calibration.ece(np.exp(log_p), outcome.targets)


@metric("classification", "higher")
def misclassification_auroc(outcome: ClassOutcome) -> float:
    """AUROC of detecting misclassified examples by total uncertainty."""
    return classification.misclassification_auroc(
        outcome.total, outcome.probabilities, outcome.targets
    )


@metric("classification", "lower")
def aurc(outcome: ClassOutcome) -> float:
    """Area under the risk-coverage curve, by total uncertainty."""
    return classification.aurc(outcome.total, outcome.probabilities, outcome.targets)


@metric("classification", "", kind="unlabelled")
def disagreement(outcome: ClassOutcome) -> float | None:
    """Share of pairs of heads with different top-1 classes."""
    if outcome.log_members is None or outcome.members < 2:
        return None
    return diversity.disagreement(outcome.log_members)


@metric("any", "", kind="unlabelled")
def epistemic_unbiased(outcome: Any) -> float:
    """Mean epistemic uncertainty of S samples times S / (S − 1); a Dirichlet's as it is."""
    count = outcome.members
    return float(outcome.epistemic.mean() * (count / (count - 1) if count > 1 else 1.0))


@metric("any", "", kind="unlabelled")
def pairwise_kl(outcome: Any) -> float | None:
    """KL between heads, mean over ordered pairs, nats."""
    if outcome.members < 2:
        return None
    if isinstance(outcome, ValueOutcome) and outcome.components:
        return diversity.pairwise_kl_gaussian(*outcome.components)
    return diversity.pairwise_kl(outcome.log_members)


@metric("regression", "", kind="unlabelled")
def variance_capped(outcome: ValueOutcome) -> float | None:
    """Share of the heads' variances at the bounds of a variance, exp(±15)."""
    if outcome.components is None:
        return None
    return regression.share_at_bounds(outcome.components[1], outcome.log_variance_limit)


@metric("regression", "", kind="fidelity")
def teacher_variance_capped(student: ValueOutcome, teacher: ValueOutcome) -> float | None:
    """Share of the members' variances at the bounds of a variance, exp(±15)."""
    return variance_capped(teacher)


FLAGS = ("temperature_at_bound", "variance_capped", "teacher_variance_capped")
"""Further columns of results.csv: warnings, which tables print where the value is above 0."""


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
def teacher_spearman(student: Outcome, teacher: Outcome) -> float | None:
    """Rank correlation of epistemic uncertainty with the teacher's."""
    # A single network has none: it is 0 for every input.
    if not student.epistemic.any() or not teacher.epistemic.any():
        return None
    return fidelity.spearman(teacher.epistemic, student.epistemic)


def _coverage(level: float) -> Callable[[ValueOutcome], float | None]:
    def coverage(outcome: ValueOutcome) -> float | None:
        if outcome.components:
            return regression.coverage(*outcome.components, outcome.targets, level)
        return None if outcome.cdf is None else regression.share_within(outcome.cdf, level)

    return coverage


def _mean(uncertainty: str) -> Callable[[Outcome], float]:
    return lambda outcome: float(getattr(outcome, uncertainty).mean())


def histogram_end(uncertainty: str, teacher: Any) -> float:
    """Return the upper end of the histograms of an uncertainty.

    In classification it is ln C, the largest entropy. A variance has no largest value, so in
    regression it follows from the quartiles of the teacher's variances. There the median of the
    members' variances is used, not their mean: far from the data a few members may extrapolate to
    e^10, a scale on which all others would fall into the first bin.

    Args:
        uncertainty: "total", "aleatoric" or "epistemic".
        teacher: the teacher's outcome.
    """
    if isinstance(teacher, ClassOutcome):
        return float(np.log(teacher.log_mean.shape[1]))
    noise = 0.0 if uncertainty == "epistemic" else teacher.median_variance
    spread = 0.0 if uncertainty == "aleatoric" else teacher.epistemic
    return fidelity.robust_upper_end(noise + spread)


def _total_variation(uncertainty: str) -> Callable[[Any, Any], float]:
    def distance(student: Any, teacher: Any) -> float:
        reference, values = getattr(teacher, uncertainty), getattr(student, uncertainty)
        return fidelity.histogram_distance(reference, values, histogram_end(uncertainty, teacher))

    return distance


def _bin_width(uncertainty: str) -> Callable[[Any, Any], float]:
    return lambda student, teacher: histogram_end(uncertainty, teacher) / fidelity.BINS


def _register_detection() -> None:
    """Register the metrics of OOD detection."""
    names: dict[str, tuple[Direction, Callable[..., float], str]] = {
        "ood_auroc": ("higher", ood_detection.auroc, "AUROC; mean over OOD sets"),
        "ood_aupr": ("higher", ood_detection.aupr, "average precision"),
        "ood_fpr95": ("lower", ood_detection.fpr95, "test inputs flagged at 95 % of OOD inputs"),
    }
    for name, (better, function, summary) in names.items():
        summary = f"OOD detection, {summary}"
        register(Metric(name, "any", "ood", better, function, name == "ood_auroc", summary))


@metric("any", "", kind="teacher_ood")
def teacher_ood_auroc(inside: np.ndarray, outside: np.ndarray) -> float:
    """OOD detection, AUROC of the teacher."""
    return ood_detection.auroc(inside, outside)


def _register_coverage() -> None:
    """Register the coverage of intervals at several levels."""
    for level in (50, 90, 95):
        summary = f"share of targets within the central {level} % interval"
        function = _coverage(level / 100)
        register(Metric(f"coverage{level}", "regression", "labelled", "", function, False, summary))


def _register_uncertainties() -> None:
    """Register the mean of each uncertainty, and the distance of its histogram to the teacher's."""
    for name in UNCERTAINTIES:
        summary = f"mean {name} uncertainty"
        register(Metric(name, "any", "unlabelled", "", _mean(name), False, summary))
        distance, headline = f"teacher_tv_{name}", name == "epistemic"
        summary = f"total variation of {name} histograms to the teacher's, 0 to 1"
        function = _total_variation(name)
        register(Metric(distance, "any", "fidelity", "lower", function, headline, summary))
        summary, function = f"width of the bins of {distance}", _bin_width(name)
        register(Metric(f"{distance}_bin", "any", "fidelity", "", function, False, summary))


_register_detection()
_register_coverage()
_register_uncertainties()
