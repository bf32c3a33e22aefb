"""How metrics are displayed."""

from __future__ import annotations

from distillation_bench.bench.metrics import METRICS
from distillation_bench.bench.metrics.display import _DISPLAYS, MetricDisplay, metric_display

COSTS = {"flops", "parameters"}


def test_only_metrics_and_costs_have_a_display() -> None:
    assert _DISPLAYS.keys() <= METRICS.keys() | COSTS


def test_headline_metrics_and_costs_have_a_display() -> None:
    headline = {name for name, metric in METRICS.items() if metric.headline}
    assert headline | COSTS <= _DISPLAYS.keys()


def test_a_metric_without_a_display_has_its_own_name() -> None:
    assert metric_display("mine") == MetricDisplay("mine", unit="", digits=3, note="")


def test_fractions_have_two_digits_as_per_cents() -> None:
    assert metric_display("ece")[:3] == ("ECE", "%", 2)
    assert metric_display("nll")[:3] == ("NLL", "nats", 3)
