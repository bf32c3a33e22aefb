"""How metrics are displayed."""

from __future__ import annotations

import math

from distillation_bench.bench.metrics import METRICS
from distillation_bench.bench.metrics.display import _DISPLAYS, MetricDisplay, metric_display

COLUMNS = {"flops", "parameters"}
"""The costs that are columns of results.csv."""
COSTS = {*COLUMNS, "flops_core", "flops_heads", "parameters_core", "parameters_heads", "bytes"}


def test_only_metrics_and_costs_have_a_display() -> None:
    assert _DISPLAYS.keys() <= METRICS.keys() | COSTS


def test_headline_metrics_and_costs_have_a_display() -> None:
    headline = {name for name, metric in METRICS.items() if metric.headline}
    assert headline | COSTS <= _DISPLAYS.keys()


def test_uncertainties_and_the_temperature_have_names_of_their_own() -> None:
    for name in ("total", "aleatoric", "epistemic", "epistemic_unbiased", "temperature"):
        assert metric_display(name).name[0].isupper()


def test_values_of_which_most_are_small_have_one_more_digit() -> None:
    nll, ece = metric_display("nll"), metric_display("ece")
    # The teacher's own divergence of 0, and values that are not finite, say nothing of the size.
    assert nll.digits_for([0.0, 0.0, 0.0, 0.002, -0.003, 0.5, math.nan, math.inf]) == 4
    assert nll.digits_for([0.002, 0.01, 0.5]) == nll.digits_for([]) == nll.digits_for([0.0]) == 3
    assert ece.digits_for([0.002]) == 2 and metric_display("flops").digits_for([0.002]) == 2


def test_a_metric_without_a_display_has_its_own_name() -> None:
    assert metric_display("mine") == MetricDisplay("mine", unit="", digits=3, note="")


def test_fractions_have_two_digits_as_per_cents() -> None:
    assert metric_display("ece")[:3] == ("ECE", "%", 2)
    assert metric_display("nll")[:3] == ("NLL", "nats", 3)
