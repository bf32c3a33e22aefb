"""Text from runs (labels, names, reasons) for a terminal: on one line, and without commands."""

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
