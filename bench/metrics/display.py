"""How each metric is displayed: its name, unit and digits, and what a reader must know of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple


class MetricDisplay(NamedTuple):
    """How a metric is displayed.

    Attributes:
        name: name in a header, without the unit.
        unit: "%" for a fraction, "nats", "size" for a count that is displayed in k, M, G or T;
            empty for a plain number.
        digits: number of decimals in this unit.
        note: what the value depends on, for a caption; may be empty.
    """

    name: str
    unit: str = ""
    digits: int = 3
    note: str = ""

    def digits_for(self, values: Iterable[float]) -> int:
        """Return the number of decimals for values in this unit: one more if most are small.

        With three decimals values of which most are below 0.01 would often look equal.
        """
        sizes = sorted(abs(value) for value in values if value and math.isfinite(value))
        is_small = self.unit not in ("%", "size") and sizes and sizes[len(sizes) // 2] < 0.01
        return self.digits + bool(is_small)


def metric_display(name: str) -> MetricDisplay:
    """Return how a metric or a cost is displayed; without an entry, its own name is used."""
    return _DISPLAYS.get(name, MetricDisplay(name))


def _percent(name: str, note: str = "") -> MetricDisplay:
    return MetricDisplay(name, "%", 2, note)


_BINS = "ECE with 15 equal-width bins"
_TEMPERED = "tempered: after a temperature fitted on validation"
_TV = "TV: total variation, 0 to 1, of the uncertainty's 50-bin histogram to the teacher's"
_FLOPS = "FLOPs per example, a multiply-accumulate as 2"
_UNCERTAINTY = "uncertainties: nats in classification, variances in regression"
_DISPLAYS = {
    # The error, 1 − accuracy, unless values are displayed as recorded.
    "accuracy": _percent("Error"),
    "nll": MetricDisplay("NLL", "nats"),
    "nll_tempered": MetricDisplay("NLL tempered", "nats", note=_TEMPERED),
    "ece": _percent("ECE", _BINS),
    "ece_10": _percent("ECE (10 bins)", "ECE (10 bins): of equal width, as in arXiv 2205.09526"),
    "ece_tempered": _percent("ECE tempered", f"{_BINS}; {_TEMPERED}"),
    "adaptive_ece": _percent("Adaptive ECE", "adaptive ECE with 15 bins of equal mass"),
    "brier": MetricDisplay("Brier", note="Brier score summed over classes, 0 to 2"),
    "aurc": MetricDisplay("AURC"),
    "misclassification_auroc": _percent("Misclassification AUROC"),
    "crps": MetricDisplay("CRPS"),
    "rmse": MetricDisplay("RMSE"),
    "mae": MetricDisplay("MAE"),
    "coverage50": _percent("Coverage of 50 %"),
    "coverage90": _percent("Coverage of 90 %"),
    "coverage95": _percent("Coverage of 95 %"),
    "ood_auroc": _percent("OOD AUROC"),
    "ood_aupr": _percent("OOD AUPR"),
    "ood_fpr95": _percent("OOD FPR95"),
    "teacher_ood_auroc": _percent("Teacher's OOD AUROC"),
    "teacher_kl": MetricDisplay("KL to teacher", "nats"),
    "teacher_agreement": _percent("Teacher agreement"),
    "teacher_spearman": MetricDisplay(
        "Spearman to teacher", note="Spearman: of epistemic uncertainties"
    ),
    "teacher_tv_total": MetricDisplay("TV total", note=_TV),
    "teacher_tv_aleatoric": MetricDisplay("TV aleatoric", note=_TV),
    "teacher_tv_epistemic": MetricDisplay("TV epistemic", note=_TV),
    "variance_capped": _percent("Clamped variances", "clamped variances: at exp(±15)"),
    "teacher_variance_capped": _percent("Teacher's clamped variances"),
    "disagreement": _percent("Disagreement"),
    "pairwise_kl": MetricDisplay("Pairwise KL", "nats"),
    "total": MetricDisplay("Total uncertainty", note=_UNCERTAINTY),
    "aleatoric": MetricDisplay("Aleatoric uncertainty", note=_UNCERTAINTY),
    "epistemic": MetricDisplay("Epistemic uncertainty", note=_UNCERTAINTY),
    "epistemic_unbiased": MetricDisplay("Epistemic, unbiased", note=_UNCERTAINTY),
    "temperature": MetricDisplay("Temperature"),
    "temperature_at_bound": MetricDisplay("Temperature at bound"),
    "flops": MetricDisplay("FLOPs", "size", 2, _FLOPS),
    "flops_core": MetricDisplay("FLOPs of core", "size", 2, _FLOPS),
    "flops_heads": MetricDisplay("FLOPs of heads", "size", 2, _FLOPS),
    "parameters": MetricDisplay("Params", "size", 2),
    "parameters_core": MetricDisplay("Params of core", "size", 2),
    "parameters_heads": MetricDisplay("Params of heads", "size", 2),
    "bytes": MetricDisplay("Bytes", "size", 2),
}
