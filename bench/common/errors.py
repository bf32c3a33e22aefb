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
    return did_you_mean(word, choices) or (f"; there is {', '.join(choices)}" if choices else "")


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """Return `; did you mean …?` with the nearest name; empty if none is near."""
    # Capitals are the most common mistake, and differ as much as any other letters.
    lower = {name.lower(): name for name in sorted(names)}
    close = difflib.get_close_matches(word.lower(), lower, cutoff=0.5)
    near = next((name for name in close if _is_near(word.lower(), name)), None)
    return f"; did you mean {lower[near]!r}?" if near else ""


def _is_near(word: str, name: str) -> bool:
    """Whether a word may be a mistyped name: it begins alike, or has a large part of it."""
    matcher = difflib.SequenceMatcher(None, word, name)
    shared = matcher.find_longest_match().size
    begins_alike = word[:1] == name[:1] and matcher.ratio() >= 0.6
    return begins_alike or shared >= max(4, len(word) / 2)
