"""The arrays that figures are drawn from agree with the reported metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from distillation_bench.bench.metrics.calibration import ece
from distillation_bench.bench.metrics.classification import accuracy, aurc, risks
from distillation_bench.bench.metrics.fidelity import histogram_distance, robust_upper_end
from distillation_bench.bench.metrics.outcome import ClassOutcome, ValueOutcome
from distillation_bench.bench.metrics.uncertainties import UNCERTAINTIES
from distillation_bench.bench.training.evaluation import figure_arrays

RNG = np.random.default_rng(5)


def classes(n: int, targets: Any = None) -> ClassOutcome:
    table = RNG.dirichlet([0.5, 0.7, 1.0], n)
    total, epistemic = RNG.uniform(0, np.log(3), n), RNG.uniform(0, 0.5, n)
    return ClassOutcome(
        total=total,
        aleatoric=total - epistemic,
        epistemic=epistemic,
        scores={},
        targets=targets,
        log_likelihood=None,
        log_mean=np.log(table),
    )


def test_histograms_have_the_reported_distance() -> None:
    student, teacher = classes(700), classes(700)
    arrays = figure_arrays.set_arrays("test", student, teacher)
    for name in UNCERTAINTIES:
        pair = arrays[f"histogram/{name}/test"]
        np.testing.assert_allclose(pair.sum(1), 1)
        expected = histogram_distance(getattr(teacher, name), getattr(student, name), np.log(3))
        assert np.abs(pair[0] - pair[1]).sum() / 2 == pytest.approx(expected, abs=1e-12)
        assert arrays[f"upper/{name}/test"] == pytest.approx(np.log(3))


def test_reliability_bins_have_the_reported_calibration_error() -> None:
    outcome = classes(900, RNG.integers(0, 3, 900))
    count, confidence, accuracy = figure_arrays.set_arrays("test", outcome, outcome)[
        "reliability/test"
    ]
    gaps = count * np.abs(confidence - accuracy)
    expected = ece(outcome.probabilities, outcome.targets)
    assert np.nansum(gaps) / 900 == pytest.approx(expected, abs=1e-12)
    assert count.sum() == 900 and np.isnan(accuracy[count == 0]).all()


def test_fidelity_pairs_are_a_few_of_the_same_examples() -> None:
    student, teacher = classes(1203), classes(1203)
    pairs = figure_arrays.fidelity_arrays("test", student, teacher)["fidelity/test"]
    np.testing.assert_equal(pairs, [student.epistemic[::3], teacher.epistemic[::3]])
    assert "reliability/test" not in figure_arrays.set_arrays("ood:x", student, teacher)


@pytest.mark.parametrize("count", [7, 100, 900])
def test_the_risk_coverage_curve_has_the_reported_area(count: int) -> None:
    outcome = classes(count, RNG.integers(0, 3, count))
    curve = figure_arrays.set_arrays("test", outcome, outcome)["selective/test"]
    reported = outcome.total, outcome.probabilities, outcome.targets
    assert curve.shape == (100,)
    assert curve[-1] == pytest.approx(1 - accuracy(outcome.probabilities, outcome.targets))
    exact = risks(*reported)
    assert curve[49] == exact[-(-count // 2) - 1]
    assert curve.mean() == pytest.approx(aurc(*reported), abs=0 if count == 100 else 0.05)


@pytest.mark.parametrize("levels", [4, 10_000])
def test_roc_equals_scikit_learns(levels: int) -> None:
    inside = {"total": RNG.integers(0, levels, 500) / levels}
    outside = {"total": RNG.integers(0, levels, 300) / levels + 0.3}
    curve = figure_arrays.detection_arrays("ood:x", inside, outside)["roc/total/ood:x"]
    labels = np.repeat([0, 1], [500, 300])
    scores = np.concatenate((inside["total"], outside["total"]))
    alarms, share, _ = roc_curve(labels, scores, drop_intermediate=False)
    for alarm, value in zip(alarms, share, strict=True):
        grid = np.flatnonzero(np.isclose(figure_arrays.FALSE_ALARM_RATES, alarm))
        if len(grid) and alarm not in alarms[:-1][np.diff(alarms) == 0]:
            assert curve[grid[0]] == pytest.approx(value, abs=1e-12)
    area = np.trapezoid(curve, figure_arrays.FALSE_ALARM_RATES)
    assert area == pytest.approx(roc_auc_score(labels, scores), abs=0.006)
    assert (np.diff(curve) >= 0).all() and curve[-1] == 1


def test_a_nan_is_in_no_bin() -> None:
    outcome = classes(10, RNG.integers(0, 3, 10))
    outcome.epistemic[3] = np.nan
    outcome.log_mean[3] = np.nan
    arrays = figure_arrays.set_arrays("test", outcome, classes(10))
    assert arrays["histogram/epistemic/test"].sum(1) == pytest.approx([0.9, 1.0])
    assert arrays["reliability/test"][0].sum() == 9


def test_regression_bins_end_where_those_of_the_metric_end() -> None:
    def values(scale: float, explodes: slice) -> ValueOutcome:
        means, variances = RNG.normal(size=(5, 400)), RNG.gamma(2.0, scale, (5, 400))
        variances[0, explodes] = 1e6
        parts = variances.mean(0), means.var(0)
        return ValueOutcome(sum(parts), *parts, {}, None, None, means.mean(0), (means, variances))

    # One of five members, on most inputs.
    student, teacher = values(3.0, slice(0)), values(1.0, slice(300))
    arrays = figure_arrays.set_arrays("test", student, teacher)
    typical = teacher.median_variance
    for name, bounded in (
        ("total", typical + teacher.epistemic),
        ("aleatoric", typical),
        ("epistemic", teacher.epistemic),
    ):
        (end,) = arrays[f"upper/{name}/test"]
        assert end == robust_upper_end(bounded) < 20
        pair = arrays[f"histogram/{name}/test"]
        np.testing.assert_allclose(pair.sum(1), 1)
        beyond = [(getattr(outcome, name) > end).mean() for outcome in (student, teacher)]
        assert (pair[:, -1] >= beyond).all()
    assert beyond[0] < 0.1 and arrays["histogram/aleatoric/test"][1, -1] >= 0.75


def test_stored_arrays_are_float32() -> None:
    stored = figure_arrays.as_float32({"a": np.arange(6, dtype=np.int64).reshape(2, 3).T})
    assert stored["a"].dtype == np.float32 and stored["a"].flags.c_contiguous
