"""The report of a run: one HTML page that needs no other files and no network.

page                  build the page from a template
leaderboard_tables    leaderboards as sortable tables
comparison_sentences  comparisons in sentences, grouped by metric
embedded_figures      figures as images within the page
provenance            cells without values, variants, recipes, versions
"""

__all__ = ["page"]
