"""Text escaped for LaTeX. The result is ASCII only."""

from __future__ import annotations

import re
import unicodedata

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    # The usual \$ may come from a bitmap font, which publishers refuse.
    "$": r"$\mathdollar$",
    **{character: rf"\{character}" for character in "&%#_{}"},
    # Two hyphens would become a dash, `?`` a Spanish mark, and after `\\` in a table `[` and `*`
    # begin an argument.
    **{character: f"{{{character}}}" for character in "-`[*"},
}
MATHS = {
    "\u2212": "-",
    "±": r"\pm",
    "×": r"\times",
    "·": r"\cdot",
    "≤": r"\leq",
    "≥": r"\geq",
    "≈": r"\approx",
    "≠": r"\neq",
    "∞": r"\infty",
    "→": r"\rightarrow",
    "←": r"\leftarrow",
    "↑": r"\uparrow",
    "↓": r"\downarrow",
    "√": r"\surd",
    "∑": r"\Sigma",
    "†": r"\dagger",
    "‡": r"\ddagger",
    "²": "^2",
    "³": "^3",
    "ς": r"\varsigma",
    "§": r"\mathsection",
}
WORDS = {
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "\u2018": "`",
    "\u2019": "'",
    "“": "``",
    "”": "''",
    "ß": r"\ss{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "\u0131": r"\i{}",
}
ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0327": "c",
}
GREEK = re.compile(
    "GREEK (SMALL|CAPITAL) LETTER (ALPHA|BETA|GAMMA|DELTA|EPSILON|ZETA|ETA|THETA|IOTA|KAPPA|LAMDA|"
    "MU|NU|XI|PI|RHO|SIGMA|TAU|UPSILON|PHI|CHI|PSI|OMEGA)"
)
OWN_CAPITALS = "gamma delta theta lamda xi pi sigma upsilon phi psi omega"
"""The other Greek capitals look like Latin ones and have no command."""
LIKE_LATIN = {"eta": "H", "nu": "N", "rho": "P", "chi": "X"}


def escape_latex(text: str) -> str:
    """Return LaTeX that prints a text, whatever characters it has.

    A character that LaTeX cannot print is shown by its number, e.g. [U+4E2D].
    """
    return "".join(_escape_character(character) for character in unicodedata.normalize("NFC", text))


def _escape_character(character: str) -> str:
    if character in SPECIAL:
        return SPECIAL[character]
    if character in WORDS:
        return WORDS[character]
    if character in MATHS:
        return f"${MATHS[character]}$"
    if character.isspace() or unicodedata.category(character) == "Cc":
        return " "
    if " " <= character <= "~":
        return character
    greek = GREEK.fullmatch(unicodedata.name(character, ""))
    if greek:
        return _greek(greek[2].lower(), small=greek[1] == "SMALL")
    parts = unicodedata.normalize("NFD", character)
    if len(parts) == 2 and parts[0].isascii() and parts[1] in ACCENTS:
        return f"\\{ACCENTS[parts[1]]}{{{parts[0]}}}"
    return f"{{[}}U+{ord(character):04X}]"


def _greek(name: str, small: bool) -> str:
    command = name.replace("lamda", "lambda")
    if small:
        return f"$\\{command}$"
    if name in OWN_CAPITALS.split():
        return f"$\\{command.capitalize()}$"
    return LIKE_LATIN.get(name, name[0].upper())
