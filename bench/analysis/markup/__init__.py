"""LaTeX of any text, and its tables.

latex         escape text
latex_tables  tables and floats that fit the page
"""

__all__ = ["latex", "latex_tables"]
