"""Everything that a run knows of one cell, for the command `why`.

description  find the cell; its status, values, parameters, timings and teacher as text
training     its training as a table with curves drawn with characters
"""

__all__ = ["description", "training"]
