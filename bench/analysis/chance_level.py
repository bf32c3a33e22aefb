"""Whether the teacher detects better than chance: if it does not, no method is best.

Networks may be more certain far away from their training data than near it. Then every AUROC of OOD
detection is below .5, and the largest of them means nothing. Where the teacher's own mean AUROC is
below .5, values are shown in grey with the reason, and are not marked, ranked or compared. AUPR and
FPR95 follow the AUROC of the same score and evaluation set; a mean over sets follows the teacher's
mean over the same sets. Each label follows the teachers of its own protocol, whose AUROC is that of
`ensemble` or, without it, the one recorded with the students. Without a value this is unknown, and
the tables say so.
"""

from __future__ import annotations

import math
from collections.abc import Container
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from distillation_bench.bench.analysis.metric_info import MetricInfo
from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.common.text import CHANCE_SIGN

__all__ = ["CHANCE_SIGN", "TeacherDetection", "teacher_detections"]
CHANCE = 0.5
TEACHER = "ensemble"
"""The method whose values are the teacher's own."""


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
            auroc = f"{100 * self.auroc:.2f} %"
            return f"the teacher itself detects worse than chance (its mean AUROC is {auroc})"
        if self.is_unknown:
            absent = "there is no AUROC of the teacher, which -m ensemble adds to a run"
            return f"{absent}, so whether it beats chance is not known"
        return ""

    @property
    def verdict(self) -> str:
        """`worse`, `better` or `unknown`, for a column of data."""
        if self.is_unknown:
            return "unknown"
        return "worse" if self.is_below_chance else "better"


def auroc_metric(metric: MetricInfo) -> MetricInfo | None:
    """Return the AUROC that a detection metric follows; None if the metric detects nothing."""
    if metric.score or metric.name.startswith("ood_"):
        return replace(metric, name="ood_auroc", better="higher")
    return metric if metric.name == "misclassification_auroc" else None


def teacher_detections(
    results: Results, metric: MetricInfo, labels: Container[str] | None = None
) -> dict[str, TeacherDetection]:
    """Return how well the teacher detects, by dataset; empty if the metric detects nothing.

    Of the teachers of several protocols the worst one decides: their methods stand side by side.

    Args:
        results, metric: results and a metric.
        labels: those that are shown; by default all.
    """
    detections: dict[str, TeacherDetection] = {}
    for (dataset, label), detection in label_detections(results, metric).items():
        if labels is None or label in labels:
            other = detections.setdefault(dataset, detection)
            detections[dataset] = min(detection, other, key=_how_bad)
    return detections


def _how_bad(detection: TeacherDetection) -> tuple[int, float]:
    return (0 if detection.is_below_chance else 2 - detection.is_unknown, detection.auroc)


def label_detections(
    results: Results, metric: MetricInfo
) -> dict[tuple[str, str], TeacherDetection]:
    """Return how well the teachers of each label detect, by dataset and label.

    The mean is over all teachers of the labels with the same mark, see `load`; values that are not
    finite are ignored. Empty if the metric detects nothing.
    """
    auroc = auroc_metric(metric)
    if auroc is None:
        return {}
    cells = results.manifest["cells"].values()
    marks = {c["label"]: c["label"][len(c.get("own_label", c["label"])) :] for c in cells}
    planned = results.planned.astype({"dataset": str, "label": str})
    planned["mark"] = planned["label"].map(marks)
    rows = planned.drop_duplicates(["mark", *_PAIRED]).join(
        _of_teachers(results, auroc), on=_PAIRED
    )
    means = rows.groupby(["dataset", "mark"], observed=True)["auroc"].mean().to_dict()
    pairs = planned[["dataset", "label", "mark"]].drop_duplicates().itertuples(index=False)
    return {(d, label): TeacherDetection(float(means[d, mark])) for d, label, mark in pairs}


_PAIRED = ["dataset", "seed", "teacher"]


def _of_teachers(results: Results, auroc: MetricInfo) -> pd.Series:
    """Return the finite AUROC of each teacher, as recorded with it or with its students."""
    values = results.values(auroc, optional=True)
    own = _finite_means(values[values["method"].eq(TEACHER)])
    measured = results.planned.loc[results.planned["status"].eq("done"), _PAIRED].drop_duplicates()
    if len(own) == len(measured) or auroc.name != "ood_auroc":
        return own
    score, place = auroc.score or "total", auroc.set or "ood"
    recorded = replace(auroc, name="teacher_ood_auroc", score=score, set=place, headline=False)
    return own.combine_first(_finite_means(results.values(recorded, optional=True)))


def _finite_means(values: pd.DataFrame) -> pd.Series:
    finite = values[np.isfinite(values["value"])].astype({"dataset": str})
    return finite.groupby(_PAIRED)["value"].mean().rename("auroc")


def is_below_chance(results: Results, metric: MetricInfo, dataset: str) -> bool:
    """Return whether a metric detects and the teacher itself does worse than chance."""
    detection = teacher_detections(results, metric).get(dataset)
    return detection is not None and detection.is_below_chance


def describe_ood_sets(results: Results, dataset: str) -> str:
    """Return what the headline OOD AUROC of a dataset is a mean over, and which sets are absent.

    A mean may hide a set on which the teacher itself detects worse than chance: it is named. The
    teacher's few records have its values by set; the table of all values would take seconds.
    """
    groups = results.manifest["ood"].get(dataset, {})
    absent = [name for name, group in groups.items() if "absent" in group]
    aurocs = _teacher_aurocs(results, dataset) if len(groups) - len(absent) > 1 else {}
    parts = []
    for name, group in groups.items():
        mean = aurocs.get(f"ood:{name}", math.nan)
        below = f"; there the teacher itself is worse than chance, {100 * mean:.2f} %"
        parts += [f"{name} ({group}{below if mean < CHANCE else ''})"] * (name not in absent)
    is_mean = "a mean over" if len(parts) > 1 else "on"
    text = f"OOD AUROC is {is_mean} {', '.join(parts)}" if parts else ""
    missing = f"absent OOD sets: {', '.join(absent)}" if absent else ""
    return "; ".join(filter(None, [text, missing]))


def _teacher_aurocs(results: Results, dataset: str) -> dict[str, float]:
    """Return the teacher's mean OOD AUROC by total uncertainty, by evaluation set."""
    cells = results.planned
    own = cells[cells["dataset"].eq(dataset) & cells["method"].eq(TEACHER)]
    # One protocol's alone.
    own = own[own["label"].isin(own["label"].iloc[:1])]
    records = filter(None, map(results.record, own["id"]))
    rows = [
        (place["set"], place["values"]["ood_auroc:total"])
        for record in records
        for place in record["sets"]
        if math.isfinite(place["values"].get("ood_auroc:total", math.nan))
    ]
    means = pd.DataFrame(rows, columns=["set", "value"]).groupby("set")["value"].mean()
    return {str(name): float(mean) for name, mean in means.items()}
