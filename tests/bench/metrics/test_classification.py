"""Metrics of classification against plain loops, other libraries and properties."""

from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, roc_auc_score
from tests.bench.metrics.predictions import CASES, Array, Case, Metric, Targets, cases, table

from distillation_bench.bench.metrics.calibration import adaptive_ece, ece
from distillation_bench.bench.metrics.classification import (
    accuracy,
    aurc,
    brier,
    misclassification_auroc,
    nll,
    risks,
)
from distillation_bench.bench.metrics.temperature_scaling import fit_temperature, temper

CALIBRATION = (ece, adaptive_ece)


PROBABILITIES = (accuracy, brier, ece, adaptive_ece)


SELECTIVE = (misclassification_auroc, aurc)


def random_uncertainty(size: int, levels: int, seed: int = 1) -> Array:
    """Values with many ties; infinite ones among them."""
    values = np.random.default_rng(seed).integers(0, levels, size).astype(np.float64)
    values[values == levels - 1] = np.inf
    return values


def calibration_error(confidence: Array, correct: Array) -> float:
    return abs(float(correct.mean()) - float(confidence.mean())) * len(confidence)


def top1(probabilities: Array, targets: Targets) -> tuple[Array, Array]:
    return probabilities.max(1), (probabilities.argmax(1) == targets).astype(np.float64)


def ece_by_loop(probabilities: Array, targets: Targets, bins: int) -> float:
    confidence, correct = top1(probabilities, targets)
    edges, total = np.linspace(0, 1, bins + 1), 0.0
    for b in range(bins):
        chosen = (confidence > edges[b]) & (confidence <= edges[b + 1])
        total += calibration_error(confidence[chosen], correct[chosen]) if chosen.any() else 0.0
    return total / len(targets)


def adaptive_ece_by_loop(probabilities: Array, targets: Targets, bins: int) -> float:
    confidence, correct = top1(probabilities, targets)
    shared = np.array([correct[confidence == value].mean() for value in confidence])
    pieces = np.array_split(np.argsort(confidence), bins)
    return sum(calibration_error(confidence[p], shared[p]) for p in pieces if len(p)) / len(targets)


def aurc_in_order(wrong: list[float]) -> float:
    return float(np.mean([np.mean(wrong[: k + 1]) for k in range(len(wrong))]))


# Against scikit-learn


@pytest.mark.parametrize(("probabilities", "targets"), CASES)
def test_accuracy_equals_scikit_learns(probabilities: Array, targets: Targets) -> None:
    expected = accuracy_score(targets, probabilities.argmax(1))
    assert accuracy(probabilities, targets) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(("probabilities", "targets"), CASES)
def test_brier_equals_scikit_learns(probabilities: Array, targets: Targets) -> None:
    classes = probabilities.shape[1]
    truth = np.eye(classes)[targets]
    value = brier(probabilities, targets)
    assert value == pytest.approx(np.mean(np.sum((probabilities - truth) ** 2, 1)), abs=1e-12)
    if classes > 2:
        labels = range(classes)
        expected = brier_score_loss(targets, probabilities, labels=labels, scale_by_half=False)
        assert value == pytest.approx(expected, abs=1e-12)


def test_brier_keeps_the_digits_of_a_small_error() -> None:
    assert brier([[1 - 1e-12, 1e-12]], [0]) == pytest.approx(2e-24, rel=1e-3)


def test_nll_equals_scikit_learns() -> None:
    probabilities, targets = table("smooth", 500, 10)
    probabilities = probabilities * 0.9 + 0.01
    log_likelihood = np.log(probabilities[np.arange(500), targets])
    expected = log_loss(targets, probabilities, labels=range(10))
    assert nll(log_likelihood) == pytest.approx(expected, abs=1e-12)


def test_nll_is_never_clipped() -> None:
    assert nll([0.0, -np.inf]) == np.inf
    assert nll([-1e5]) == 1e5


@pytest.mark.parametrize(("probabilities", "targets"), CASES)
def test_misclassification_auroc_equals_scikit_learns(
    probabilities: Array, targets: Targets
) -> None:
    uncertainty = random_uncertainty(len(targets), 6)
    wrong = probabilities.argmax(1) != targets
    value = misclassification_auroc(uncertainty, probabilities, targets)
    if wrong.all() or not wrong.any():
        assert np.isnan(value)
    else:
        # scikit-learn takes no infinite scores.
        expected = roc_auc_score(wrong, np.minimum(uncertainty, 99))
        assert value == pytest.approx(expected, abs=1e-12)


# Against torchmetrics


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_calibration_errors_equal_torchmetrics(torchmetrics: Any, bins: int) -> None:
    import torch

    probabilities, targets = table("smooth", 1000, 10)
    # In torchmetrics an edge belongs to the bin above it; here to the bin below it.
    probabilities = 0.999 * probabilities + 1e-4
    p, y = torch.from_numpy(probabilities), torch.from_numpy(targets)
    options = {"task": "multiclass", "num_classes": 10}
    expected = torchmetrics.calibration_error(p, y, n_bins=bins, norm="l1", **options)
    # It computes in float32.
    assert ece(probabilities, targets, bins) == pytest.approx(float(expected), abs=1e-6)
    expected = torchmetrics.accuracy(p, y, average="micro", **options)
    assert accuracy(probabilities, targets) == pytest.approx(float(expected), abs=1e-7)


def test_calibration_errors_of_certain_predictions_equal_torchmetrics(torchmetrics: Any) -> None:
    import torch

    probabilities, targets = table("sure", 100, 5)
    expected = torchmetrics.calibration_error(
        torch.from_numpy(probabilities),
        torch.from_numpy(targets),
        task="multiclass",
        num_classes=5,
        n_bins=15,
        norm="l1",
    )
    assert ece(probabilities, targets) == pytest.approx(float(expected), abs=1e-6)


# Against the definitions


@pytest.mark.parametrize("bins", [1, 2, 4, 15, 600])
@pytest.mark.parametrize(("probabilities", "targets"), CASES)
def test_calibration_errors_equal_plain_loops(
    probabilities: Array, targets: Targets, bins: int
) -> None:
    expected = ece_by_loop(probabilities, targets, bins)
    assert ece(probabilities, targets, bins) == pytest.approx(expected, abs=1e-12)
    expected = adaptive_ece_by_loop(probabilities, targets, bins)
    assert adaptive_ece(probabilities, targets, bins) == pytest.approx(expected, abs=1e-12)


def test_an_edge_belongs_to_the_lower_bin() -> None:
    # (0.5, 0.75] holds the first two, (0.75, 1] the third.
    probabilities = [[0.75, 0.25], [0.6, 0.4], [0.8, 0.2]]
    assert ece(probabilities, [0, 1, 0], bins=4) == pytest.approx((0.35 + 0.2) / 3, abs=1e-15)


def test_a_confidence_rounded_above_1_is_in_the_last_bin() -> None:
    value = ece([[0.99, 0.01], [1 + 1e-7, 0.0]], [0, 1])
    assert value == pytest.approx((0.99 + 1e-7) / 2, abs=1e-15)


def test_calibration_error_equals_the_calculation_by_hand() -> None:
    assert ece([[1.0, 0.0]] * 4, [0, 0, 0, 1]) == 0.25
    assert ece([[0.0, 1.0]], [1]) == 0
    # Sorted: .6 (wrong), .7 (right) | .8 (right), .9 (wrong).
    probabilities = [[0.9, 0.1], [0.7, 0.3], [0.6, 0.4], [0.8, 0.2]]
    value = adaptive_ece(probabilities, [1, 0, 1, 0], bins=2)
    assert value == pytest.approx((0.3 + 0.7) / 4, abs=1e-15)


def test_aurc_equals_the_calculation_by_hand() -> None:
    probabilities = [[1.0, 0.0]] * 4
    # In order of uncertainty: right, wrong, right, wrong.
    value = aurc([0.1, 0.2, 0.3, 0.4], probabilities, [0, 1, 0, 1])
    assert value == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4, abs=1e-15)


@pytest.mark.parametrize(
    "uncertainty", [[0, 0, 0, 0, 0, 0], [2, 1, 1, 1, 0, 2], [np.inf, 1, np.inf, 1, -np.inf, 3]]
)
def test_aurc_is_the_mean_over_all_orders_of_ties(uncertainty: list[float]) -> None:
    probabilities, targets = np.tile([0.7, 0.3], (6, 1)), np.array([0, 1, 1, 0, 0, 1])
    ascending = sorted(uncertainty)
    orders = [p for p in permutations(range(6)) if [uncertainty[i] for i in p] == ascending]
    areas = [aurc_in_order([float(targets[i]) for i in order]) for order in orders]
    value = aurc(uncertainty, probabilities, targets)
    assert value == pytest.approx(np.mean(areas), abs=1e-12)


def test_aurc_is_the_mean_of_the_risks() -> None:
    probabilities, targets = table("smooth", 300, 4)
    uncertainty = random_uncertainty(300, 5, 0)
    curve = risks(uncertainty, probabilities, targets)
    assert curve[-1] == pytest.approx(1 - accuracy(probabilities, targets), abs=1e-12)
    assert curve.mean() == pytest.approx(aurc(uncertainty, probabilities, targets), abs=1e-15)
    assert np.isnan(risks(np.full(300, np.nan), probabilities, targets)).all()


def test_aurc_of_a_constant_uncertainty_is_the_error() -> None:
    probabilities, targets = table("smooth", 300, 4)
    value = aurc(np.zeros(300), probabilities, targets)
    assert value == pytest.approx(1 - accuracy(probabilities, targets), abs=1e-12)


def test_the_first_of_equal_classes_is_predicted() -> None:
    assert accuracy([[0.5, 0.5], [0.2, 0.4]], [0, 1]) == 1
    assert accuracy([[0.5, 0.5]], [1]) == 0


# Properties


@pytest.mark.parametrize("metric", PROBABILITIES)
@given(case=cases(), seed=st.integers(0, 99))
def test_the_order_of_rows_does_not_matter(metric: Metric, case: Case, seed: int) -> None:
    probabilities, targets = case
    order = np.random.default_rng(seed).permutation(len(targets))
    value = metric(probabilities[order], targets[order])
    assert value == pytest.approx(metric(probabilities, targets), abs=1e-12)


@pytest.mark.parametrize("metric", SELECTIVE)
@given(case=cases(), seed=st.integers(0, 99))
def test_the_order_of_rows_does_not_matter_for_aurc(
    metric: Callable[..., float], case: Case, seed: int
) -> None:
    probabilities, targets = case
    uncertainty = random_uncertainty(len(targets), 4, seed)
    order = np.random.default_rng(seed).permutation(len(targets))
    value = metric(uncertainty[order], probabilities[order], targets[order])
    expected = metric(uncertainty, probabilities, targets)
    assert value == pytest.approx(expected, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("metric", PROBABILITIES)
@given(case=cases(), seed=st.integers(0, 99))
def test_names_of_classes_do_not_matter(metric: Metric, case: Case, seed: int) -> None:
    probabilities, targets = case
    ordered = np.sort(probabilities, 1)
    # With two classes on top, the first of them counts.
    assume(probabilities.shape[1] == 1 or (ordered[:, -1] > ordered[:, -2]).all())
    renamed = np.random.default_rng(seed).permutation(probabilities.shape[1])
    value = metric(probabilities[:, np.argsort(renamed)], renamed[targets])
    assert value == pytest.approx(metric(probabilities, targets), abs=1e-12)


@given(cases())
def test_values_are_within_their_ranges(case: Case) -> None:
    assert 0 <= accuracy(*case) <= 1
    assert 0 <= brier(*case) <= 2
    assert 0 <= ece(*case) <= 1
    # The error cannot fall with more bins.
    assert ece(*case, bins=1) <= ece(*case, bins=6) + 1e-12
    assert ece(*case, bins=1) == pytest.approx(adaptive_ece(*case, bins=1), abs=1e-12)


@given(case=cases(), seed=st.integers(0, 99))
def test_aurc_lies_between_the_best_and_the_worst_order(case: Case, seed: int) -> None:
    probabilities, targets = case
    _, correct = top1(probabilities, targets)
    value = aurc(random_uncertainty(len(targets), 5, seed), probabilities, targets)
    best, worst = (aurc(sign * correct, probabilities, targets) for sign in (-1, 1))
    assert best - 1e-12 <= value <= worst + 1e-12


@pytest.mark.parametrize("kind", ["float32", "list"])
def test_any_array_type_is_accepted(kind: str) -> None:
    probabilities, targets = table("smooth", 50, 4)
    rounded = probabilities.astype(np.float32)
    given_as: Any = rounded if kind == "float32" else rounded.tolist()
    for metric in PROBABILITIES:
        assert metric(given_as, targets.tolist()) == metric(rounded.astype(np.float64), targets)


# Wrong input


@pytest.mark.parametrize("metric", PROBABILITIES)
def test_nan_gives_nan(metric: Metric) -> None:
    assert np.isnan(metric([[0.5, 0.5], [np.nan, 0.3]], [0, 1]))
    assert np.isnan(metric([[np.nan, np.nan]], [0]))


def test_nan_in_uncertainties_gives_nan() -> None:
    probabilities, void = [[0.9, 0.1], [0.8, 0.2]], [[np.nan, np.nan], [0.8, 0.2]]
    for metric in SELECTIVE:
        assert np.isnan(metric([0.1, np.nan], probabilities, [0, 1]))
        assert np.isnan(metric([0.1, 0.2], void, [0, 1]))
    assert np.isnan(nll([0.0, np.nan]))
    assert np.isnan(fit_temperature(void, [0, 1]))
    assert np.isnan(fit_temperature([[np.inf, 0.0]], [0]))
    assert np.isnan(temper(probabilities, np.nan)).all()


@pytest.mark.parametrize("metric", PROBABILITIES)
@pytest.mark.parametrize(
    ("probabilities", "targets", "message"),
    [
        (np.empty((0, 3)), [], "non-empty"),
        ([0.5, 0.5], [0, 1], "2 dimension"),
        ([[0.5, 0.5]], [0, 1], "targets must have shape"),
        ([[0.5, 0.5]], [[0]], "targets must have shape"),
        ([[0.5, 0.5]], [2], r"\[0, 2\)"),
        ([[0.5, 0.5]], [-1], r"\[0, 2\)"),
        ([[0.5, 0.5]], [0.0], "integers"),
    ],
)
def test_bad_input_is_refused(
    metric: Metric, probabilities: Any, targets: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        metric(probabilities, targets)


@pytest.mark.parametrize("metric", [brier, *CALIBRATION])
def test_logits_are_refused_as_probabilities(metric: Metric) -> None:
    for wrong in (1.5, -0.5):
        with pytest.raises(ValueError, match=r"\[0, 1\]"):
            metric([[wrong, 1 - wrong]], [0])


@pytest.mark.parametrize("metric", CALIBRATION)
def test_a_number_of_bins_below_one_is_refused(metric: Callable[..., float]) -> None:
    with pytest.raises(ValueError, match="bins"):
        metric([[0.5, 0.5]], [0], bins=0)


@pytest.mark.parametrize("metric", SELECTIVE)
def test_another_number_of_uncertainties_is_refused(metric: Callable[..., float]) -> None:
    with pytest.raises(ValueError, match="uncertainty must have shape"):
        metric([0.1], [[0.5, 0.5], [0.5, 0.5]], [0, 1])
