"""The report of a run: one HTML page that needs no other files and no network.

page        fill in the template, with the verdict and the figures
columns     the columns and rows of tables, and what must be said below them
page_data   the values of single cells, for the script
provenance  cells without values, parameters, recipes, versions
"""

__all__ = ["page"]
