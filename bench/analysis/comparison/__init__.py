"""Which method is better, and what the number of seeds and datasets allows to say about it."""

from bench.analysis.comparison.comparing import (
    DEFAULT_METRIC,
    Comparison,
    OnDataset,
    compare,
    compare_all,
)
from bench.analysis.comparison.data import as_csv, as_json
from bench.analysis.comparison.output import as_latex, as_text
from bench.analysis.comparison.words import in_words

__all__ = [
    "DEFAULT_METRIC",
    "Comparison",
    "OnDataset",
    "as_csv",
    "as_json",
    "as_latex",
    "as_text",
    "compare",
    "compare_all",
    "in_words",
]
