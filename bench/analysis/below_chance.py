"""A detector that is worse than chance has no best: the one place that decides it.

Networks may be sure far away from their data, and more so than near it: then every AUROC of OOD
detection is below .5, and the largest of them is no merit. Where the teacher's own mean is below
.5, a figure is shown in grey with the reason, and is neither marked nor ranked nor compared. AUPR
and FPR95 go by the AUROC of the same score and set; a mean over sets goes by the teacher's mean
over the same sets. Without a figure of the teacher nothing is decided, and that is said.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from distillation_bench.bench.analysis.results import Metric, Results, Slot

CHANCE = 0.5
TEACHER = "ensemble"
"""The method whose figures are the teacher's own."""
SIGN = "~"
"""Behind a figure that is worse than chance, where there is no grey."""


@dataclass(frozen=True)
class Standing:
    """How the teacher itself detects, by the score and on the set of a metric.

    Attributes:
        auroc: its mean over seeds; nan where it has none.
    """

    auroc: float

    @property
    def is_worse_than_chance(self) -> bool:
        """Whether nothing is best."""
        return self.auroc < CHANCE

    @property
    def is_unknown(self) -> bool:
        """Whether nothing can be said of it."""
        return math.isnan(self.auroc)

    @property
    def reason(self) -> str:
        """Why there is no best, or why that is not known; empty where the detector works."""
        if self.is_worse_than_chance:
            found = f"{self.auroc:.3f}"
            return f"the teacher itself detects worse than chance (its mean AUROC is {found})"
        if self.is_unknown:
            return "no AUROC of the teacher is at hand, so whether it beats chance is not known"
        return ""

    @property
    def word(self) -> str:
        """`worse`, `unknown` or `better`, for a column of data."""
        if self.is_unknown:
            return "unknown"
        return "worse" if self.is_worse_than_chance else "better"


def detector(name: str, score: str = "") -> str:
    """The metric that says whether what another measures works at all; empty if it detects nothing.

    Args:
        name, score: of the metric.
    """
    if score or name.startswith("ood_"):
        return "ood_auroc"
    return name if name == "misclassification_auroc" else ""


def standing(values: Iterable[float]) -> Standing:
    """From the teacher's AUROC of each seed; what is not finite says nothing."""
    finite = [value for value in values if math.isfinite(value)]
    return Standing(fmean(finite) if finite else math.nan)


def teachers(manifest: Mapping[str, Any]) -> frozenset[str]:
    """Labels of the teacher itself."""
    cells = manifest["cells"].values()
    return frozenset(cell["label"] for cell in cells if cell["method"] == TEACHER)


def detectors(metrics: Iterable[Metric]) -> dict[Metric, Metric]:
    """By metric that detects something, the AUROC of the same score and set."""
    named = {metric: detector(metric.name, metric.score) for metric in metrics}
    return {
        metric: replace(metric, name=name, better="higher")
        for metric, name in named.items()
        if name
    }


def standings(
    results: Results, metrics: Sequence[Metric], figures: Mapping[Metric, Mapping[Slot, float]]
) -> dict[tuple[str, Metric], Standing]:
    """By dataset and metric that detects something, how the teacher stands.

    Args:
        results: whose cells are meant, all seeds of the teacher.
        metrics: of any kind.
        figures: of all their detectors.
    """
    own, judges = teachers(results.manifest), detectors(metrics)
    values: dict[tuple[str, Metric], list[float]] = {
        (dataset, metric): [] for dataset in results.datasets for metric in judges
    }
    for metric, judge in judges.items():
        for (dataset, label, _), value in figures.get(judge, {}).items():
            if label in own:
                values[dataset, metric].append(value)
    return {place: standing(each) for place, each in values.items()}
