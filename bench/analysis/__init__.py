"""What is made of finished runs: statistics, comparisons, leaderboards, tables, export.

results           the results of runs as DataFrames: where everything else starts
overview          what results show of themselves
recorded_tables   the tables of a run, read by pandas
metric_info       how a metric is selected and printed
ranking           students from best to worst
missing_cells     which cells have no values, and why
pairing           values of methods paired by seed and teacher
statistics        sign-flip and rank tests with Holm's correction, intervals, effect sizes
chance_level      whether the teacher detects better than chance
values_at_bounds  temperatures and variances that end at a bound
comparison        which method is better, and what n allows to say
tables            leaderboards, and tables for papers
latex             any text in LaTeX, and tables that fit its page
export            all values as one long table, curves for TensorBoard
one_cell          everything that is known of one cell
"""

__all__ = [
    "chance_level",
    "comparison",
    "export",
    "metric_info",
    "missing_cells",
    "one_cell",
    "overview",
    "pairing",
    "ranking",
    "results",
    "statistics",
    "tables",
    "values_at_bounds",
]
