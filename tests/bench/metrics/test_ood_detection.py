from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from distillation_bench.bench.common.paths import IMPORT_FOLDER
from distillation_bench.bench.metrics.ood_detection import (
    aupr,
    auroc,
    detection_rates,
    fpr95,
)
from distillation_bench.bench.metrics.order_statistics import midranks

Array = NDArray[np.float64]
Metric = Callable[[Any, Any], float]

METRICS = (auroc, aupr, fpr95)
# Few values, so that most are tied; also infinite ones.
SCORES = arrays(
    np.float64,
    st.integers(1, 40),
    elements=st.sampled_from([-np.inf, -1.0, 0.0, 0.25, 0.5, 2.0, np.inf]),
)
SMOOTH = arrays(np.float64, st.integers(1, 40), elements=st.floats(-5, 5, width=32))


def labelled(inside: Array, outside: Array) -> tuple[NDArray[np.int64], Array]:
    labels = np.repeat([0, 1], [len(inside), len(outside)])
    # scikit-learn refuses infinite scores: ranks keep their order and their ties.
    _, ranks = np.unique(np.concatenate((inside, outside)), return_inverse=True)
    return labels, ranks.astype(np.float64)


def fpr95_by_loop(inside: Array, outside: Array) -> float:
    thresholds = [t for t in outside if 100 * sum(outside >= t) >= 95 * len(outside)]
    return float(np.mean([x >= max(thresholds) for x in inside]))


def auroc_by_pairs(inside: Array, outside: Array) -> float:
    wins = [(o > i) + (o == i) / 2 for i in inside for o in outside]
    return float(np.mean(wins))


def aupr_by_loop(inside: Array, outside: Array) -> float:
    area, before = 0.0, 0.0
    for threshold in sorted({*outside}, reverse=True):
        found, false = sum(outside >= threshold), sum(inside >= threshold)
        area += (found - before) / len(outside) * found / (found + false)
        before = found
    return area


@given(SCORES | SMOOTH, SCORES | SMOOTH)
def test_auroc_is_the_share_of_pairs(inside: Array, outside: Array) -> None:
    value = auroc(inside, outside)
    assert value == pytest.approx(auroc_by_pairs(inside, outside), abs=1e-12)
    ranks = midranks(np.concatenate((inside, outside)))[len(inside) :]
    wins = ranks.sum() - len(outside) * (len(outside) + 1) / 2
    assert value == pytest.approx(wins / (len(inside) * len(outside)), abs=1e-12)


@given(SCORES | SMOOTH, SCORES | SMOOTH)
def test_aupr_equals_a_loop(inside: Array, outside: Array) -> None:
    assert aupr(inside, outside) == pytest.approx(aupr_by_loop(inside, outside), abs=1e-12)


@given(SCORES | SMOOTH, SCORES | SMOOTH)
def test_detection_rates_keep_the_false_alarm_rate(inside: Array, outside: Array) -> None:
    alarms = np.arange(len(inside) + 1) / len(inside)
    rates = detection_rates(inside, outside, alarms)
    for alarm, rate in zip(alarms, rates, strict=True):
        shares = [((inside >= t).mean(), (outside >= t).mean()) for t in {*inside, *outside}]
        assert rate >= max([0.0, *(o for i, o in shares if i <= alarm)]) - 1e-12
    assert (np.diff(rates) >= 0).all() and rates[-1] == 1


def test_equal_scores_detect_nothing() -> None:
    scores = np.full(10, 0.3), np.full(30, 0.3)
    assert auroc(*scores) == 0.5 and aupr(*scores) == 0.75 and fpr95(*scores) == 1
    np.testing.assert_allclose(detection_rates(*scores, np.array([0, 0.5, 1])), [0, 0.5, 1])


def test_planning_needs_no_scikit_learn() -> None:
    code = (
        "import sys, distillation_bench.bench.metrics.registry; assert 'sklearn' not in sys.modules"
    )
    environment = {**os.environ, "PYTHONPATH": str(IMPORT_FOLDER)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


@given(SCORES | SMOOTH, SCORES | SMOOTH)
def test_fpr95_equals_a_loop(inside: Array, outside: Array) -> None:
    value = fpr95(inside, outside)
    assert value == fpr95_by_loop(inside, outside)
    fpr, tpr, _ = roc_curve(*labelled(inside, outside), drop_intermediate=False)
    assert value == pytest.approx(fpr[np.argmax(tpr >= 0.95)], abs=1e-12)


@pytest.mark.parametrize("size", [20, 100, 1000, 999, 1])
def test_fpr95_detects_at_least_95_percent_and_no_more_than_needed(size: int) -> None:
    outside = np.arange(size, dtype=np.float64)
    missed = size * 5 // 100
    inside = np.array([missed - 0.5, missed, missed + 0.5])
    assert fpr95(inside, outside) == pytest.approx(2 / 3, abs=1e-15)


@pytest.mark.parametrize(("size", "ties"), [(1000, False), (1000, True), (7, True)])
def test_values_equal_torchmetrics(
    torchmetrics: Any, rng: np.random.Generator, size: int, ties: bool
) -> None:
    import torch

    inside, outside = rng.random(size), rng.random(2 * size) ** 0.5
    if ties:
        inside, outside = inside.round(1), outside.round(1)
    labels, _ = labelled(inside, outside)
    # Within [0, 1], or torchmetrics would take the scores for logits.
    scores = torch.from_numpy(np.concatenate((inside, outside)))
    truth = torch.from_numpy(labels)
    area = torchmetrics.auroc(scores, truth, task="binary")
    precision = torchmetrics.average_precision(scores, truth, task="binary")
    # It counts in float32.
    assert auroc(inside, outside) == pytest.approx(float(area), abs=1e-6)
    assert aupr(inside, outside) == pytest.approx(float(precision), abs=1e-6)


@given(SCORES, SCORES)
def test_auroc_of_swapped_sets_is_one_minus_auroc(inside: Array, outside: Array) -> None:
    assert auroc(inside, outside) == pytest.approx(1 - auroc(outside, inside), abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
@given(inside=SCORES, outside=SCORES, seed=st.integers(0, 99))
def test_row_order_does_not_matter(
    metric: Metric, inside: Array, outside: Array, seed: int
) -> None:
    shuffle = np.random.default_rng(seed).permutation
    assert metric(shuffle(inside), shuffle(outside)) == metric(inside, outside)


@pytest.mark.parametrize("metric", METRICS)
@given(inside=SMOOTH, outside=SMOOTH)
def test_only_the_order_of_scores_matters(metric: Metric, inside: Array, outside: Array) -> None:
    _, ranks = labelled(inside, outside)
    n = len(inside)
    assert metric(inside, outside) == metric(ranks[:n] ** 3 - 7, ranks[n:] ** 3 - 7)


@pytest.mark.parametrize(
    ("inside", "outside", "figures"),
    [
        ([0, 1], [2, 3], (1, 1, 0)),
        ([2, 3], [0, 1], (0, (1 / 3 + 1 / 2) / 2, 1)),
        ([1, 1, 1], [1], (0.5, 0.25, 1)),
        ([0], [0], (0.5, 0.5, 1)),
        ([0], [1], (1, 1, 0)),
    ],
)
def test_values_equal_the_calculation_by_hand(
    inside: list[int], outside: list[int], figures: tuple[float, ...]
) -> None:
    values = [metric(inside, outside) for metric in METRICS]
    assert values == pytest.approx(figures, abs=1e-15)


@pytest.mark.parametrize("metric", METRICS)
def test_nan_gives_nan(metric: Metric) -> None:
    assert np.isnan(metric([0.0, np.nan], [1.0]))
    assert np.isnan(metric([0.0], [1.0, np.nan]))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("inside", "outside", "name"),
    [([], [1.0], "inside"), ([1.0], [], "outside"), ([[1.0]], [1.0], "inside")],
)
def test_bad_input_is_refused(metric: Metric, inside: Any, outside: Any, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        metric(inside, outside)
