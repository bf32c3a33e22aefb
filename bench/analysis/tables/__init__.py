"""The leaderboard of runs, and tables for papers.

leaderboard       for each dataset, methods in every headline metric; average ranks over datasets
paper_tables      tables of selected results, with the best marked and tested
published_values  the tables of arXiv 2205.09526 beside the values of a run
entries           values, marks and tests of a table as a DataFrame
table             a table, for the terminal, Markdown, notebooks and CSV
table_latex       tables for LaTeX, and values as LaTeX macros
notes             what must be said of tables, once for all
"""

__all__ = [
    "entries",
    "leaderboard",
    "notes",
    "paper_tables",
    "published_values",
    "table",
    "table_latex",
]
