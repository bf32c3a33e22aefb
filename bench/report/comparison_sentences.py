"""Comparisons in sentences, each with the metrics for which it holds."""

from __future__ import annotations

from distillation_bench.bench.analysis.old_comparison.method_comparison import compare
from distillation_bench.bench.analysis.old_comparison.sentences import comparison_sentences
from distillation_bench.bench.analysis.old_results import Results
from distillation_bench.bench.common.errors import UsageError


def metrics_by_sentence(results: Results) -> dict[str, list[str]]:
    """Return metrics by sentence: with few seeds the same often holds for all metrics."""
    metrics: dict[str, list[str]] = {}
    for metric in _compared_metrics(results):
        for sentence in _sentences(results, metric):
            metrics.setdefault(sentence, []).append(metric)
    return metrics


def _compared_metrics(results: Results) -> list[str]:
    """Return the leaderboard's metrics that have a better direction."""
    described = results.manifest["metrics"]
    present = {name for row in results.rows for name, value in row.items() if value}
    return [
        name
        for name, metric in described.items()
        if metric["headline"] and metric["better"] and name in present
    ]


def _sentences(results: Results, metric: str) -> list[str]:
    try:
        return comparison_sentences(compare(results, metric))
    except UsageError as error:
        # One method, or no two with a seed in common: the report says so.
        return [str(error)]
