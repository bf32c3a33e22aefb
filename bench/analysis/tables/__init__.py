"""The leaderboard of a run, and tables for papers.

leaderboard       for each dataset, students ranked in every headline metric
leaderboard_text  leaderboards for the terminal and as Markdown
table_model       what a table for a paper consists of
table_builder     tables of selected results, with the best marked and tested
published_values  the tables of arXiv 2205.09526 beside the values of a run
table_notes       what must be said below a table
table_text        tables for the terminal and as Markdown
table_latex       tables for LaTeX, and values as LaTeX macros
table_csv         tables as CSV
"""

__all__ = [
    "leaderboard",
    "leaderboard_text",
    "published_values",
    "table_builder",
    "table_csv",
    "table_latex",
    "table_model",
    "table_notes",
    "table_text",
]
