"""Text of any kind as LaTeX, Markdown and plain tables.

latex         escape text for LaTeX
latex_tables  tables and floats of LaTeX that fit the page
markdown      escape text for Markdown, and Markdown tables
"""

__all__ = ["latex", "latex_tables", "markdown"]
