"""Mistakes of the user: one line each, exit status 2, never a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UsageError(Exception):
    """What is wrong, where, and the nearest right name."""


class CacheFault(OSError):
    """The cache can't be read or written here: no cell is to blame, and the run ends."""


def nearest(word: str, names: Iterable[str]) -> str:
    """'; did you mean …?' or the list of names, to end an error message with."""
    known = sorted(names)
    # Capitals are the commonest mistake, and far apart to a comparison of letters.
    lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {lower[close[0]]!r}?"
    return f"; there is {', '.join(known)}" if known else ""
