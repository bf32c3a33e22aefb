"""Everything that a run knows of one cell, for the command `why`.

lookup       find the cell that a user means
description  its status, values, parameters, timings and teacher as text
training     its training as a table
sparklines   a curve drawn with characters
"""

__all__ = ["description", "lookup", "sparklines", "training"]
