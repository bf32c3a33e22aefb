"""What is made of finished runs: statistics, comparisons, leaderboards, tables, export.

results           the results of runs, read together: where everything else starts
metric_formats    values of a metric as they are printed
summaries         mean, deviation and n over seeds; students from best to worst
missing_cells     which cells have no values, and why
pairing           values of two methods paired by seed and teacher
statistics        sign-flip and rank tests, intervals, effect sizes
holm              Holm's correction of a family of tests, and how many seeds it takes
chance_level      whether the teacher detects better than chance
values_at_bounds  temperatures and variances that end at a bound
comparison        which method is better, and what n allows to say
tables            the leaderboard, and tables for papers
markup            escaping for LaTeX and Markdown, text tables
export            all values as one long table, curves for TensorBoard
one_cell          everything that is known of one cell
"""

__all__ = [
    "chance_level",
    "comparison",
    "export",
    "metric_formats",
    "missing_cells",
    "one_cell",
    "pairing",
    "results",
    "statistics",
    "summaries",
    "tables",
    "values_at_bounds",
]
