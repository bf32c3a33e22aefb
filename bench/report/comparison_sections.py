"""Comparisons as sentences, each with the metrics that it is true of."""

from __future__ import annotations

from distillation_bench.bench.analysis.comparison import compare, in_words
from distillation_bench.bench.analysis.results import Results
from distillation_bench.bench.common.errors import UsageError


def comparisons(results: Results) -> dict[str, list[str]]:
    """By sentence, its metrics: of few seeds the same is often to be said of all of them."""
    found: dict[str, list[str]] = {}
    for metric in _metrics(results):
        for sentence in _sentences(results, metric):
            found.setdefault(sentence, []).append(metric)
    return found


def _metrics(results: Results) -> list[str]:
    """Of the leaderboards, those that have a better direction."""
    known = results.manifest["metrics"]
    there = {name for row in results.rows for name, value in row.items() if value}
    return [n for n, m in known.items() if m["headline"] and m["better"] and n in there]


def _sentences(results: Results, metric: str) -> list[str]:
    try:
        return in_words(compare(results, metric))
    except UsageError as error:
        # One method, or no two with a seed in common: no reason to have no report.
        return [str(error)]
