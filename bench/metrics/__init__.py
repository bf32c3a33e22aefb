"""Figures of predictions: pure functions on arrays, and the registry that names them."""

from bench.metrics.outcome import ClassOutcome, Outcome, ValueOutcome
from bench.metrics.registry import METRICS, Metric, metric

__all__ = ["METRICS", "ClassOutcome", "Metric", "Outcome", "ValueOutcome", "metric"]
