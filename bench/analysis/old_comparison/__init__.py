"""Which method is better, and what the number of seeds and datasets allows to say about it.

method_comparison  compare methods in a metric, on each dataset and across them
method_pairs       two methods on the same seeds: intervals, effect sizes, tests
within_datasets    all pairs on one dataset, one family of Holm's correction
across_datasets    ranks over datasets, and tests pooled over all seeds
sentences          the results in sentences
comparison_text    tables for the terminal
comparison_latex   tables for LaTeX
csv_and_json       all values as CSV and JSON
"""

__all__ = [
    "across_datasets",
    "comparison_latex",
    "comparison_text",
    "csv_and_json",
    "method_comparison",
    "method_pairs",
    "sentences",
    "within_datasets",
]
