"""Predictions as the NumPy arrays that metrics are computed from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from distillation_bench.bench.metrics.outcome import Array, ClassOutcome, Outcome, ValueOutcome
from distillation_bench.bench.training.data import EvaluationSet
from distillation_bench.methods.predictions import Categorical, GaussianMixture, Prediction
from distillation_bench.methods.tasks import LOG_VARIANCE_LIMIT

Scores = Mapping[str, Array]
"""Scores for OOD detection by name, [N] each, high for unfamiliar inputs."""


def outcome_of(
    prediction: Prediction, evaluation_set: EvaluationSet, temperature: float = 1.0
) -> Outcome:
    """Convert a prediction on an evaluation set into an outcome.

    It is one of classes if its mean is [N, C], and one of values if its mean is [N].

    Args:
        prediction: for the N inputs of the set.
        evaluation_set: its targets are needed for the log-likelihood; None on OOD sets.
        temperature: fitted on the validation split; classification only.
    """
    y = evaluation_set.y
    y = None if y is None else y.to(prediction.total.device)
    if prediction.mean.dim() == 1:
        return ValueOutcome(**_common_fields(prediction, y), **_value_fields(prediction, y))
    log_mean, log_members = prediction.mean.log(), None
    if isinstance(prediction, Categorical):
        log_mean, log_members = prediction.log_mean, prediction.log_members
    return ClassOutcome(
        **_common_fields(prediction, y),
        log_mean=_array(log_mean),
        log_members=_array(log_members),
        temperature=temperature,
    )


def _value_fields(prediction: Prediction, y: Tensor | None) -> dict[str, Any]:
    """The fields of `ValueOutcome` alone."""
    mean = _array(prediction.mean)
    if isinstance(prediction, GaussianMixture):
        components = _array(prediction.means), _array(prediction.variances)
        return {"mean": mean, "components": components, "log_variance_limit": LOG_VARIANCE_LIMIT}
    if y is None:
        return {"mean": mean}
    return {"mean": mean, "cdf": _array(prediction.cdf(y)), "crps": _array(prediction.crps(y))}


def _common_fields(prediction: Prediction, y: Tensor | None) -> dict[str, Any]:
    """The fields of `Outcome`."""
    return {
        "total": _array(prediction.total),
        "aleatoric": _array(prediction.aleatoric),
        "epistemic": _array(prediction.epistemic),
        "scores": {name: _array(score) for name, score in prediction.scores.items()},
        "targets": _array(y),
        "log_likelihood": None if y is None else _array(prediction.log_prob(y)),
    }


def _array(tensor: Tensor | None) -> Any:
    return None if tensor is None else tensor.cpu().numpy()


def ood_scores(outcome: Outcome) -> Scores:
    """Return the scores for OOD detection that a prediction has.

    Every prediction has its total and epistemic uncertainty; class probabilities have
    1 − max p ("confidence") too, and a Dirichlet its negative precision.
    """
    scores = {"total": outcome.total, "epistemic": outcome.epistemic, **outcome.scores}
    if isinstance(outcome, ClassOutcome):
        scores["confidence"] = 1 - np.exp(outcome.log_mean.max(1))
    return scores
