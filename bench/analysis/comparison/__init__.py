"""Which method is better, and what the number of seeds and datasets allows to say about it.

methods           compare methods in a metric, on each dataset and across them
pairs             two methods on the same seeds, ranks over datasets, tests pooled over all seeds
sentences         the results in sentences, the verdict first
comparison_tables  tables with what they mean, for the terminal and for LaTeX
comparison_values  all values as CSV and JSON
"""

from distillation_bench.bench.analysis.comparison.methods import (
    DEFAULT_METRIC,
    Comparison,
    compare,
    one_label,
)

__all__ = ["DEFAULT_METRIC", "Comparison", "compare", "one_label"]
