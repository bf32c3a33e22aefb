"""Knowledge distillation with a second head that states the ensemble's epistemic uncertainty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from distillation_bench.methods.base import Batch, Examples, parameter
from distillation_bench.methods.kd import KD
from distillation_bench.methods.lazy import predictions, tasks, torch, two_heads
from distillation_bench.methods.schedules import Coefficient

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from distillation_bench.methods.predictions import Prediction


class KDUncertainty(KD):
    """KD, and a scalar head that regresses the epistemic uncertainty of the members.

    A control: what a method gains over it is more than a number per input. Its idea is that of
    DUDES, Landgraf et al. 2023 (arXiv 2303.09843), in segmentation. The uncertainty is the mutual
    information of the members, or in regression the variance of their means. The head learns its
    logarithm, because it spans orders of magnitude, by least squares; `target=linear` regresses the
    uncertainty itself. The target is scaled by its mean and deviation on the training split.

    The prediction is that of KD, with the stated epistemic uncertainty, at most the total one. By
    default the target is not corrected for the number of members, because the teacher's own value,
    with which students are compared, is not either.
    """

    name = "kd-uncertainty"
    summary = "plain distillation, and a head that regresses the epistemic uncertainty"
    paper = "a control, after Landgraf et al. 2023, arXiv 2303.09843"

    class Parameters(KD.Parameters):
        target: Literal["log", "linear"] = parameter("log", "what the second head regresses")
        floor: float = parameter(1e-6, "least uncertainty of a logarithm", gt=0, le=1)
        weight: Coefficient = parameter(1.0, "of the second head's squared error")
        corrected: bool = parameter(False, "whether the target is multiplied by M/(M − 1)")

    def fit(self, train: Examples, generator: Generator) -> Mapping[str, Tensor]:
        target = self._target(train.teacher)
        deviation = target.std(correction=0)
        return {"mean": target.mean(), "scale": torch.where(deviation > 0, deviation, 1.0)}

    def _target(self, teacher: Tensor) -> Tensor:
        """Return what is regressed, [B], of outputs of the members [M, B, K]."""
        members = len(teacher)
        factor = members / max(members - 1, 1) if self.parameters.corrected else 1.0
        epistemic = factor * self.task.prediction(teacher).epistemic
        if self.parameters.target == "linear":
            return epistemic
        return epistemic.clamp(min=self.parameters.floor).log()

    def build(self, generator: Generator) -> nn.Module:
        return two_heads.TwoHeads(self.setting.networks, 1, generator)

    def loss(self, outputs: Any, batch: Batch, now: Any) -> Mapping[str, Tensor]:
        target = (self._target(batch.teacher) - self.fitted["mean"]) / self.fitted["scale"]
        error = (outputs[1][0, :, 0] - target).square().mean()
        return {**super().loss(outputs[0], batch, now), "uncertainty": error}

    def weights(self, now: Any) -> Mapping[str, float]:
        return {**super().weights(now), "uncertainty": now.weight}

    def predict(self, outputs: Any) -> Prediction:
        stated = self.fitted["mean"] + self.fitted["scale"] * outputs[1][0, :, 0]
        epistemic = stated if self.parameters.target == "linear" else stated.exp()
        if self.task.name == "regression":
            return predictions.StatedGaussian(*tasks.gaussian(outputs[0]), epistemic)
        return predictions.StatedCategorical(outputs[0][0], epistemic)
