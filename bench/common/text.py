"""Text for a terminal: names and messages of runs on one line, durations, characters in ASCII."""

from __future__ import annotations

import re
import unicodedata

CHANCE_SIGN = "~"
"""Stands behind a value that is worse than chance where text cannot be grey."""


def terminal_safe(text: str) -> str:
    """Return the text on one line, with nothing in it that a terminal would act on.

    White space becomes spaces. Control characters, such as those of escape codes, and characters
    that change the direction of writing become �.
    """
    return text if text.isprintable() else "".join(map(_safe_character, text))


def _safe_character(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else "\N{REPLACEMENT CHARACTER}"


def truncated(text: str, length: int = 90) -> str:
    """Return `terminal_safe(text)`, cut to a number of characters."""
    text = terminal_safe(text)
    return text if len(text) <= length else f"{text[: length - 1]}…"


def counted(count: int, noun: str) -> str:
    """Return a number with its noun, such as `1 record` or `2 records`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a duration such as `8 s`, `3 min 20 s` or `2 h 05 min`."""
    seconds = max(0, round(seconds))
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def rough_duration(seconds: float) -> str:
    """Return a duration in whole minutes, such as `3 min` or `2 h 05 min`, and at least one."""
    return duration(60 * max(1, round(seconds / 60))).removesuffix(" 00 s")


_ASCII = {
    **{"↑": "^", "↓": "v", "→": "->", "←": "<-", "±": "+-", "–": "-", "—": "-", "−": "-"},
    **{"…": "...", "×": "x", "†": "+", "‖": "|", "·": ".", "½": "1/2", "ß": "ss"},
    **{"λ": "lambda", "‡": "#", "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "“": '"', "”": '"'},
    **{"\N{LEFT SINGLE QUOTATION MARK}": "'", "\N{RIGHT SINGLE QUOTATION MARK}": "'"},
    **dict(zip("▁▂▃▄▅▆▇█", "_.-:=+*#", strict=True)),
}


def in_ascii(character: str) -> str:
    """Return what to write for a character where only ASCII can be written; `?` for most."""
    kind, *_, name = unicodedata.name(character, "NO NAME").split()
    decomposed = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return _ASCII.get(character) or (name.lower() if kind == "GREEK" else decomposed) or "?"


def natural_key(text: str) -> tuple[tuple[bool, float, str], ...]:
    """Return a sort key by which numbers in texts are ordered by value: 5, 10, 20."""
    parts = re.split(r"(\d+(?:\.\d+)?)", text)
    return tuple(
        (i % 2 == 0, 0.0 if i % 2 == 0 else float(part), part) for i, part in enumerate(parts)
    )
