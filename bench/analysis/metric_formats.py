"""How a metric is printed: its name, its unit, its digits, and what a reader must know of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from distillation_bench.bench.analysis.results import MetricInfo

SIZES = (("", 1.0), ("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12))


@dataclass(frozen=True)
class MetricFormat:
    """A metric as a column.

    Attributes:
        metric: what is printed.
        name: as in a header, without the unit.
        unit: "%", "nats" or a size such as "M"; empty where it is a plain number.
        digits: decimals.
        better: "higher", "lower" or empty, of what is printed.
        factor, offset: what is printed is offset + factor · value.
        note: what the figure depends on, for a caption; may be empty.
        exact: whether seeds can't change it, so that a deviation of 0 need not be said.
    """

    metric: MetricInfo
    name: str
    unit: str
    digits: int
    better: str
    factor: float = 1.0
    offset: float = 0.0
    note: str = ""
    exact: bool = False

    def convert(self, value: float) -> float:
        """A recorded value in the unit that is printed."""
        return self.offset + self.factor * value

    def text(self, value: float) -> str:
        """A value in the printed unit with its decimals; nan and inf as they are."""
        return f"{value:.{self.digits}f}" if math.isfinite(value) else str(value)

    @property
    def header(self) -> str:
        """Name, unit and the better direction."""
        unit = f" [{self.unit}]" if self.unit else ""
        arrow = {"higher": " ↑", "lower": " ↓", "": ""}[self.better]
        return f"{self.name}{unit}{arrow}"


_BINS = "ECE with 15 equal-width bins"
_TEMPERED = "tempered: after a temperature fitted on validation"
_TV = "TV: total variation, 0 to 1, of the uncertainty's 50-bin histogram to the teacher's"
_NAMES = {
    # By metric: name, unit, note. Per cent is of a share.
    "accuracy": ("Error", "%", ""),
    "nll": ("NLL", "nats", ""),
    "nll_tempered": ("NLL tempered", "nats", _TEMPERED),
    "ece": ("ECE", "%", _BINS),
    "ece_10": ("ECE (10 bins)", "%", "ECE (10 bins): of equal width, as in arXiv 2205.09526"),
    "ece_tempered": ("ECE tempered", "%", f"{_BINS}; {_TEMPERED}"),
    "adaptive_ece": ("Adaptive ECE", "%", "adaptive ECE with 15 bins of equal mass"),
    "brier": ("Brier", "", "Brier score summed over classes, 0 to 2"),
    "aurc": ("AURC", "", ""),
    "misclassification_auroc": ("Misclassification AUROC", "%", ""),
    "crps": ("CRPS", "", ""),
    "rmse": ("RMSE", "", ""),
    "mae": ("MAE", "", ""),
    "coverage50": ("Coverage of 50 %", "%", ""),
    "coverage90": ("Coverage of 90 %", "%", ""),
    "coverage95": ("Coverage of 95 %", "%", ""),
    "ood_auroc": ("OOD AUROC", "%", ""),
    "ood_aupr": ("OOD AUPR", "%", ""),
    "ood_fpr95": ("OOD FPR95", "%", ""),
    "teacher_kl": ("KL to teacher", "nats", ""),
    "teacher_agreement": ("Teacher agreement", "%", ""),
    "teacher_spearman": ("Spearman to teacher", "", "Spearman: of epistemic uncertainties"),
    "teacher_tv_total": ("TV total", "", _TV),
    "teacher_tv_aleatoric": ("TV aleatoric", "", _TV),
    "teacher_tv_epistemic": ("TV epistemic", "", _TV),
    "variance_capped": ("Clamped variances", "%", "clamped variances: at exp(±15)"),
    "teacher_variance_capped": ("Teacher's clamped variances", "%", ""),
    "disagreement": ("Disagreement", "%", ""),
    "pairwise_kl": ("Pairwise KL", "nats", ""),
    "flops": ("FLOPs", "size", "FLOPs per example, a multiply-accumulate as 2"),
    "parameters": ("Params", "size", ""),
}


def metric_format(
    metric: MetricInfo, values: Iterable[float], digits: int | None = None, raw: bool = False
) -> MetricFormat:
    """How to print a metric.

    Args:
        metric: which.
        values: all that will be printed, as recorded: the size of FLOPs and parameters is theirs.
        digits: decimals; else 2 of per cents and sizes and 3 of the rest.
        raw: as recorded instead: shares, accuracy instead of error, nothing scaled.
    """
    name, unit, note = _NAMES.get(metric.name, (metric.name, "", ""))
    if metric.name == "ood_auroc" and metric.headline:
        note = "OOD AUROC: mean over a dataset's OOD sets, by total uncertainty"
    made = MetricFormat(metric, name, unit, 3, metric.better, note=note)
    if raw:
        name = "Accuracy" if metric.name == "accuracy" else name
        made = replace(made, name=name, unit="" if unit in ("%", "size") else unit)
    elif metric.name == "accuracy":
        made = replace(made, digits=2, better="lower", factor=-100.0, offset=100.0)
    elif unit == "%":
        made = replace(made, digits=2, factor=100.0)
    elif unit == "size":
        size, factor = _size(values)
        made = replace(made, unit=size, digits=2 if size else 0, factor=1 / factor)
    if unit == "size":
        # What a student costs is chosen, not measured: no rivals, no spread.
        made = replace(made, better="", exact=True)
    where = _where(metric)
    named = replace(made, name=f"{made.name} ({where})" if where else made.name)
    return named if digits is None else replace(named, digits=digits)


def _size(values: Iterable[float]) -> tuple[str, float]:
    """The largest size that some value reaches."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    return next((size for size in reversed(SIZES) if largest >= size[1]), SIZES[0])


def _where(metric: MetricInfo) -> str:
    """Which score and set a figure is of, where it is not the usual one."""
    if metric.headline:
        return ""
    place = f"{metric.shift} {metric.severity}" if metric.shift else metric.set
    usual = ("test", "cost")
    return ", ".join(part for part in (metric.score, "" if place in usual else place) if part)
