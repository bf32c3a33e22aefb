"""LaTeX that compiles: text of any kind made harmless, booktabs, floats that stay on the page.

A document needs `\\usepackage{booktabs,graphicx}`, and `xcolor` where figures are grey; what is
written here is ASCII only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

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
    **{sign: rf"\{sign}" for sign in "&%#_{}"},
    # Two hyphens would become a dash, `?`` a Spanish mark, and after `\\` in a table `[` and `*`
    # begin an argument.
    **{sign: f"{{{sign}}}" for sign in "-`[*"},
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
"""The rest of the Greek capitals look like Latin ones, and have no command."""
LIKE_LATIN = {"eta": "H", "nu": "N", "rho": "P", "chi": "X"}
ROWS = 45
"""Lines that fit a page: what is beyond goes on in a further table."""
SHRUNK = 30
"""So many lines may be higher than a page with a caption: from here on, height is limited too."""


def preamble(*packages: str) -> str:
    """What stands above the tables of a file: the packages that they need, with further ones."""
    return rf"% needs \usepackage{{{','.join(('booktabs', 'graphicx', *packages))}}}"


def escape(text: str) -> str:
    """Text as LaTeX that prints it: every special character, any Unicode.

    A character that has no LaTeX of its own is shown by its number, e.g. [U+4E2D].
    """
    return "".join(_escape_one(sign) for sign in unicodedata.normalize("NFC", text))


def _escape_one(sign: str) -> str:
    if sign in SPECIAL:
        return SPECIAL[sign]
    if sign in WORDS:
        return WORDS[sign]
    if sign in MATHS:
        return f"${MATHS[sign]}$"
    if sign.isspace() or unicodedata.category(sign) == "Cc":
        return " "
    if " " <= sign <= "~":
        return sign
    greek = GREEK.fullmatch(unicodedata.name(sign, ""))
    if greek:
        return _greek(greek[2].lower(), small=greek[1] == "SMALL")
    parts = unicodedata.normalize("NFD", sign)
    if len(parts) == 2 and parts[0].isascii() and parts[1] in ACCENTS:
        return f"\\{ACCENTS[parts[1]]}{{{parts[0]}}}"
    return f"{{[}}U+{ord(sign):04X}]"


def _greek(name: str, small: bool) -> str:
    command = name.replace("lamda", "lambda")
    if small:
        return f"$\\{command}$"
    if name in OWN_CAPITALS.split():
        return f"$\\{command.capitalize()}$"
    return LIKE_LATIN.get(name, name[0].upper())


def tabular(headers: Sequence[str], rows: Sequence[Sequence[str]], columns: str) -> str:
    """A booktabs table that is made smaller where it would not fit the line or the page.

    Args:
        headers: one a column, LaTeX already.
        rows: cells, LaTeX already; an empty row is a thin rule.
        columns: alignment, e.g. "lrr".
    """
    lines = [
        r"\setlength{\tabcolsep}{4pt}%",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _line(headers),
        r"\midrule",
        *(_line(row) if row else r"\midrule" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return _fitted("\n".join(lines), high=len(rows) > SHRUNK)


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _fitted(text: str, high: bool) -> str:
    width = r"\ifdim\width>\linewidth\linewidth\else\width\fi"
    text = f"\\resizebox{{{width}}}{{!}}{{%\n{text}}}"
    height = r"\ifdim\totalheight>0.8\textheight 0.8\textheight\else\totalheight\fi"
    return f"\\resizebox*{{!}}{{{height}}}{{%\n{text}}}" if high else text


def floating(tabular: str, caption: str, label: str) -> str:
    """A table environment; the caption is LaTeX already, the label any text."""
    return "\n".join(
        [
            r"\begin{table}[tbp]",
            r"\centering",
            rf"\caption{{{caption}}}",
            rf"\label{{{re.sub(r'[^A-Za-z0-9:.-]+', '-', label)}}}",
            r"\smallskip",
            tabular,
            r"\end{table}",
            "",
        ]
    )


def parts(rows: int) -> list[range]:
    """Numbers of the rows of each table, when so many rows are split to fit pages."""
    return [range(first, min(first + ROWS, rows)) for first in range(0, rows, ROWS)]


def floats(tabulars: Iterable[str], title: str, explanation: str, label: str) -> list[str]:
    """A float for each part of a table; the explanation stands below the title of the first.

    Args:
        tabulars: the parts.
        title, explanation: LaTeX already; the title without a full stop.
        label: any text; parts after the first get their number behind it.
    """
    return [
        floating(part, f"{title}, continued.", f"{label}-{number}")
        if number > 1
        else floating(part, f"{title}. {explanation}".rstrip(), label)
        for number, part in enumerate(tabulars, start=1)
    ]
