"""Text escaped for LaTeX. The result is ASCII only, and needs no package.

pylatexenc writes commands of other font encodings (`\\k{a}`, `\\CYRZH`), leaves what begins an
argument behind `\\\\`, and keeps characters that it does not know.
"""

from __future__ import annotations

import unicodedata

SPECIAL = {
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''"},
    # The usual \$ may come from a bitmap font, which publishers refuse.
    "$": r"$\mathdollar$",
    **{character: rf"\{character}" for character in "&%#_{}"},
    # Two hyphens would become a dash, `?`` a Spanish mark, and after `\\` in a table `[` and `*`
    # begin an argument.
    **{character: f"{{{character}}}" for character in "-`[*"},
    **{"–": "--", "—": "---", "…": r"\ldots{}", "“": "``", "”": "''"},
    **{"\N{LEFT SINGLE QUOTATION MARK}": "`", "\N{RIGHT SINGLE QUOTATION MARK}": "'"},
    **{"ß": r"\ss{}", "ø": r"\o{}", "Ø": r"\O{}", "æ": r"\ae{}", "Æ": r"\AE{}", "ł": r"\l{}"},
    **{"Ł": r"\L{}", "\N{LATIN SMALL LETTER DOTLESS I}": r"\i{}"},
}
_GREEK = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"),
    *("lambda", "mu", "nu", "xi", "o", "pi", "rho", "varsigma", "sigma", "tau", "upsilon", "phi"),
    *("chi", "psi", "omega"),
)
MATHS = {
    **{"\N{MINUS SIGN}": "-", "±": r"\pm", "×": r"\times", "·": r"\cdot", "≤": r"\leq"},
    **{"≥": r"\geq", "≈": r"\approx", "≠": r"\neq", "∞": r"\infty", "→": r"\rightarrow"},
    **{"←": r"\leftarrow", "↑": r"\uparrow", "↓": r"\downarrow", "√": r"\surd", "∑": r"\Sigma"},
    **{"†": r"\dagger", "‡": r"\ddagger", "²": "^2", "³": "^3", "§": r"\mathsection"},
    **{chr(0x3B1 + i): "o" if name == "o" else rf"\{name}" for i, name in enumerate(_GREEK)},
    # The other capitals look like Latin ones and have no command.
    **{chr(0x391 + i): rf"\{_GREEK[i].capitalize()}" for i in (2, 3, 7, 10, 13, 15)},
    **{chr(0x391 + i): rf"\{_GREEK[i].capitalize()}" for i in (18, 20, 21, 23, 24)},
}
LIKE_LATIN = dict(zip(map(chr, range(0x391, 0x3AA)), "AB  EZH IK MN O P  T  X  ", strict=True))
ACCENTS = {
    **{"\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u"},
    **{"\u0307": ".", "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c"},
}


def escape_latex(text: str) -> str:
    """Return LaTeX that prints a text, whatever characters it has.

    A character that LaTeX cannot print is shown by its number, e.g. [U+4E2D].
    """
    return "".join(map(_escape_character, unicodedata.normalize("NFC", text)))


def _escape_character(character: str) -> str:
    if character in SPECIAL:
        return SPECIAL[character]
    if character in MATHS:
        return f"${MATHS[character]}$"
    if character.isspace() or unicodedata.category(character) == "Cc":
        return " "
    if " " <= character <= "~":
        return character
    if LIKE_LATIN.get(character, " ") != " ":
        return LIKE_LATIN[character]
    parts = unicodedata.normalize("NFD", character)
    if len(parts) == 2 and parts[0].isascii() and parts[1] in ACCENTS:
        return f"\\{ACCENTS[parts[1]]}{{{parts[0]}}}"
    return f"{{[}}U+{ord(character):04X}]"
