"""Text for a terminal: labels, names and reasons of runs made safe to print, and durations."""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    """Text on one line that moves no cursor: white space as spaces, what else can't be seen as �.

    Escape codes, other control characters and changes of the direction of writing become visible.
    """
    return text if text.isprintable() else "".join(map(_seen, text))


def shortened(text: str, length: int = 90) -> str:
    """The same, cut off after so many characters."""
    text = printable(text)
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _seen(sign: str) -> str:
    if sign.isprintable():
        return sign
    return " " if sign.isspace() else "\N{REPLACEMENT CHARACTER}"


def duration(seconds: float) -> str:
    """A duration as `8 s`, `3 min 20 s` or `2 h 05 min`."""
    total = max(0, round(seconds))
    if total < 60:
        return f"{total} s"
    minutes, rest = divmod(total, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def rough_duration(seconds: float) -> str:
    """A duration to the minute, as `3 min` or `2 h 05 min`."""
    return duration(60 * max(1, round(seconds / 60))).removesuffix(" 00 s")


_ASCII = {
    **{"↑": "^", "↓": "v", "→": "->", "←": "<-", "±": "+-", "–": "-", "—": "-", "−": "-"},
    **{
        "…": "...",
        "×": "x",
        "†": "+",
        "‖": "|",
        "·": ".",
        "½": "1/2",
        "ß": "ss",
        "λ": "lambda",
    },
    **{"‡": "#", "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "“": '"', "”": '"'},
    **{"\N{LEFT SINGLE QUOTATION MARK}": "'", "\N{RIGHT SINGLE QUOTATION MARK}": "'"},
    **dict(zip("▁▂▃▄▅▆▇█", "_.-:=+*#", strict=True)),
}


def in_ascii(sign: str) -> str:
    """What stands for a character where only ASCII can be written; `?` for most."""
    kind, *_, name = unicodedata.name(sign, "NO NAME").split()
    plain = unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode()
    return _ASCII.get(sign) or (name.lower() if kind == "GREEK" else plain) or "?"
