"""Figures of predictions: pure functions on arrays, and the registry that names them."""

from distillation_bench.bench.metrics.outcome import ClassOutcome, Outcome, ValueOutcome
from distillation_bench.bench.metrics.registry import METRICS, Metric, metric

__all__ = ["METRICS", "ClassOutcome", "Metric", "Outcome", "ValueOutcome", "metric"]
