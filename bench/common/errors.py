"""Errors that are reported in one line, without a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable

_wording: Callable[[str], str] | None = None


def word(wording: Callable[[str], str] | None) -> None:
    """Let a function word all messages of this process, unless one does already.

    The program and the public API do so; a plugin of the program may use the API.
    """
    global _wording
    _wording = (wording and _wording) or wording


class UsageError(Exception):
    """A mistake of the user: where, what is wrong, and the nearest right name. Exit status 2.

    The message names options of the command line; `word` makes arguments of them.
    """

    def __str__(self) -> str:
        message = super().__str__()
        return _wording(message) if _wording else message


class CacheFault(OSError):
    """The cache cannot be read or written on this machine. It ends the run and fails no cell."""


def nearest(word: str, names: Iterable[str]) -> str:
    """Return `; did you mean …?` or the list of names, as the end of an error message."""
    choices = sorted(names)
    # Capitals are the most common mistake, and differ as much as any other letters.
    lower = {name.lower(): name for name in choices}
    close = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {lower[close[0]]!r}?"
    return f"; there is {', '.join(choices)}" if choices else ""
