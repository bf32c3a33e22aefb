"""Which method is better, and what the number of seeds and datasets allows to say about it."""

from distillation_bench.bench.analysis.comparison.as_data import as_csv, as_json
from distillation_bench.bench.analysis.comparison.as_text import as_latex, as_text
from distillation_bench.bench.analysis.comparison.method_comparison import (
    DEFAULT_METRIC,
    Comparison,
    OnDataset,
    compare,
    compare_all,
)
from distillation_bench.bench.analysis.comparison.sentences import in_words

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
