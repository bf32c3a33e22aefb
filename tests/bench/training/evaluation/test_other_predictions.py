"""Predictions of kinds that methods bring are measured; what a kind cannot have is absent."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from distillation_bench.bench.metrics.outcome import ClassOutcome, ValueOutcome
from distillation_bench.bench.metrics.registry import METRICS
from distillation_bench.bench.training.data import EvaluationSet
from distillation_bench.bench.training.evaluation.outcomes import outcome_of
from distillation_bench.methods.predictions import GaussianMixture, Prediction

N = 200
TARGETS = torch.randn(N, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
TEST = EvaluationSet("test", torch.zeros(N, 1), TARGETS)


class Plain(Prediction):
    """A distribution with a mean and a variance of 1, and a density of the tests."""

    def __init__(self, mean: Tensor) -> None:
        self._mean = mean
        self.total = self.aleatoric = torch.ones(len(mean), dtype=torch.float64)
        self.epistemic = torch.zeros_like(self.total)
        self.scores = {}

    @property
    def mean(self) -> Tensor:
        return self._mean

    def log_prob(self, y: Tensor) -> Tensor:
        return -(y - self._mean).square() / 2 - math.log(2 * math.pi) / 2


class Known(Plain):
    """The same with its distribution function and its score, of a standard Gaussian."""

    def cdf(self, y: Tensor) -> Tensor:
        below: Tensor = torch.special.ndtr(y - self._mean)
        return below

    def crps(self, y: Tensor) -> Tensor:
        z = y - self._mean
        density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
        score: Tensor = z * (2 * torch.special.ndtr(z) - 1) + 2 * density - math.pi**-0.5
        return score


def values(prediction: Prediction) -> dict[str, float | None]:
    outcome: Any = outcome_of(prediction, TEST)
    assert isinstance(outcome, ValueOutcome)
    kinds = ("labelled", "unlabelled")
    metrics = [m for m in METRICS.values() if m.kind in kinds and m.applies("regression")]
    return {metric.name: metric.function(outcome) for metric in metrics}


def test_a_kind_that_knows_its_distribution_has_the_values_of_a_mixture() -> None:
    mean = torch.linspace(-1, 1, N, dtype=torch.float64)
    mixture = values(GaussianMixture(mean[None], torch.zeros(1, N)))
    known = values(Known(mean))
    assert known.pop("variance_capped") is None and mixture.pop("variance_capped") == 0
    # One network has no pairs.
    assert known.pop("pairwise_kl") is None and mixture.pop("pairwise_kl") is None
    assert known == pytest.approx(mixture, rel=1e-12)


def test_a_kind_that_does_not_know_it_lacks_the_metrics_that_need_it() -> None:
    mean = torch.linspace(-1, 1, N, dtype=torch.float64)
    plain, known = values(Plain(mean)), values(Known(mean))
    absent = {name for name, value in plain.items() if value is None}
    assert absent == {"crps", "coverage50", "coverage90", "coverage95", "variance_capped"} | {
        name for name, value in known.items() if value is None
    }
    assert {name: plain[name] for name in plain.keys() - absent} == {
        name: known[name] for name in known.keys() - absent
    }


class Classes(Plain):
    """Class probabilities that are not given by logarithms."""

    def log_prob(self, y: Tensor) -> Tensor:
        return self._mean.log().gather(-1, y[:, None])[:, 0]


def test_class_probabilities_of_any_kind_are_measured() -> None:
    probabilities = torch.rand(N, 3, dtype=torch.float64) + 0.1
    probabilities = probabilities / probabilities.sum(-1, keepdim=True)
    labels = torch.arange(N) % 3
    outcome: Any = outcome_of(Classes(probabilities), EvaluationSet("test", TEST.x, labels))
    assert isinstance(outcome, ClassOutcome)
    chosen = probabilities[torch.arange(N), labels]
    assert METRICS["nll"].function(outcome) == pytest.approx(float(-chosen.log().mean()))
    right = probabilities.argmax(-1) == labels
    assert METRICS["accuracy"].function(outcome) == pytest.approx(float(right.double().mean()))
    assert METRICS["disagreement"].function(outcome) is None
    np.testing.assert_allclose(outcome.probabilities, probabilities.numpy(), rtol=1e-12)
