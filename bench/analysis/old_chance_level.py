"""Whether the teacher detects better than chance: if it does not, no method is best.

Networks may be more certain far away from their training data than near it. Then every AUROC of OOD
detection is below .5, and the largest of them means nothing. Where the teacher's own mean AUROC is
below .5, values are shown in grey with the reason, and are not marked, ranked or compared. AUPR and
FPR95 follow the AUROC of the same score and evaluation set; a mean over sets follows the teacher's
mean over the same sets. If the teacher has no value, this is unknown, and the tables say so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from distillation_bench.bench.analysis.old_results import MetricInfo, Results
from distillation_bench.bench.storage.tables import CellKey

CHANCE = 0.5
TEACHER = "ensemble"
"""The method whose values are the teacher's own."""
CHANCE_SIGN = "~"
"""Marks a value that is worse than chance where text cannot be grey."""


@dataclass(frozen=True)
class TeacherDetection:
    """How well the teacher itself detects, for the score and the evaluation set of a metric.

    Attributes:
        auroc: mean over seeds; nan if there is no value.
    """

    auroc: float

    @property
    def is_below_chance(self) -> bool:
        """Whether the teacher detects worse than chance, so that no method is best."""
        return self.auroc < CHANCE

    @property
    def is_unknown(self) -> bool:
        """Whether the teacher has no value."""
        return math.isnan(self.auroc)

    @property
    def reason(self) -> str:
        """Why no method is best, or why that is not known; empty above chance."""
        if self.is_below_chance:
            auroc = f"{self.auroc:.3f}"
            return f"the teacher itself detects worse than chance (its mean AUROC is {auroc})"
        if self.is_unknown:
            return "the teacher has no AUROC, so whether it beats chance is not known"
        return ""

    @property
    def verdict(self) -> str:
        """`worse`, `better` or `unknown`, for a column of data."""
        if self.is_unknown:
            return "unknown"
        return "worse" if self.is_below_chance else "better"


def auroc_metric(name: str, score: str = "") -> str:
    """Return the AUROC that a detection metric follows; empty if the metric detects nothing.

    Args:
        name, score: name and score of the metric.
    """
    if score or name.startswith("ood_"):
        return "ood_auroc"
    return name if name == "misclassification_auroc" else ""


def auroc_metrics(metrics: Iterable[MetricInfo]) -> dict[MetricInfo, MetricInfo]:
    """Return, by detection metric, the AUROC of the same score and evaluation set."""
    names = {metric: auroc_metric(metric.name, metric.score) for metric in metrics}
    return {
        metric: replace(metric, name=name, better="higher")
        for metric, name in names.items()
        if name
    }


def teacher_labels(manifest: Mapping[str, Any]) -> frozenset[str]:
    """Return the labels of the teacher itself."""
    cells = manifest["cells"].values()
    return frozenset(cell["label"] for cell in cells if cell["method"] == TEACHER)


def teacher_detection(aurocs: Iterable[float]) -> TeacherDetection:
    """Return the mean of the teacher's AUROC values; values that are not finite are ignored."""
    finite = [auroc for auroc in aurocs if math.isfinite(auroc)]
    return TeacherDetection(fmean(finite) if finite else math.nan)


def teacher_detections(
    results: Results,
    metrics: Sequence[MetricInfo],
    values: Mapping[MetricInfo, Mapping[CellKey, float]],
) -> dict[tuple[str, MetricInfo], TeacherDetection]:
    """Return how well the teacher detects, by dataset and detection metric.

    Args:
        results: results with all seeds of the teacher.
        metrics: metrics of any kind.
        values: values by cell of at least all metrics in `auroc_metrics(metrics)`.
    """
    labels = teacher_labels(results.manifest)
    detections = {}
    for metric, auroc in auroc_metrics(metrics).items():
        cells = values.get(auroc, {}).items()
        for dataset in results.datasets:
            own = [
                value for (name, label, _), value in cells if name == dataset and label in labels
            ]
            detections[dataset, metric] = teacher_detection(own)
    return detections
