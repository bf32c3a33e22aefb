"""LaTeX of any text, and tables that compile and fit the page.

Escaped text is ASCII only, and needs no package. A document with tables needs
`\\usepackage{booktabs,graphicx}`, and `xcolor` if values are grey.

pylatexenc writes commands of other font encodings (`\\k{a}`, `\\CYRZH`), leaves what begins an
argument behind `\\\\`, and keeps characters that it does not know.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise

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

MAX_ROWS = 45
"""Rows that fit a page; further ones go into another table."""
TALL = 30
"""More rows than this may be taller than a page with a caption: the height is limited, too."""
TABULAR = r"""\setlength{{\tabcolsep}}{{4pt}}%
\begin{{tabular}}{{{columns}}}
\toprule
{headers}
\midrule
{body}
\bottomrule
\end{{tabular}}"""
FLOAT = r"""\begin{{table}}[tbp]
\centering
\caption{{{caption}}}
\label{{{label}}}
\smallskip
{tabular}{below}
\end{{table}}
"""


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


# Tables


def preamble(*packages: str) -> str:
    """Return a comment that names the packages that the tables need, with further ones."""
    return rf"% needs \usepackage{{{','.join(('booktabs', 'graphicx', *packages))}}}"


def tabulars(headers: Sequence[str], rows: Sequence[Sequence[str]], rule: int = 0) -> list[str]:
    """Return booktabs tables, as even as possible if the rows are too many for a page.

    Each is scaled down where it would not fit the line or the page. The first column is to the
    left, others to the right.

    Args:
        headers: header of each column, in LaTeX.
        rows: cells, in LaTeX.
        rule: the row that a thin line is above; 0 for none.
    """
    parts = -(-len(rows) // MAX_ROWS)
    ends = [round(len(rows) * part / parts) for part in range(parts + 1)] if parts else []
    lines = [(r"\midrule" + "\n") * (i == rule > 0) + _row(row) for i, row in enumerate(rows)]
    columns = "l" + "r" * (len(headers) - 1)
    return [
        _fitted(
            TABULAR.format(
                columns=columns,
                headers=_row(headers),
                # A line above the first row would double that of the header.
                body="\n".join(lines[first:end]).removeprefix("\\midrule\n"),
            ),
            is_tall=end - first > TALL,
        )
        for first, end in pairwise(ends)
    ]


def _fitted(table: str, is_tall: bool) -> str:
    width = r"\ifdim\width>\linewidth\linewidth\else\width\fi"
    fitted = f"\\resizebox{{{width}}}{{!}}{{%\n{table}}}"
    height = r"\ifdim\totalheight>0.8\textheight 0.8\textheight\else\totalheight\fi"
    return f"\\resizebox*{{!}}{{{height}}}{{%\n{fitted}}}" if is_tall else fitted


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def floats(
    tabulars: Iterable[str], title: str, explanation: str, label: str, below: str = ""
) -> list[str]:
    """Return a float for each part of a table; that of the first has the explanation and the note.

    Args:
        tabulars: parts of the table.
        title, explanation: the caption, in LaTeX; the title without a full stop.
        label: any text; parts after the first get their number behind it.
        below: a note that the first float has below its table, in LaTeX.
    """
    note = f"\n\n\\smallskip\n\\parbox{{\\linewidth}}{{\\footnotesize {below}}}" if below else ""
    return [
        _float(part, f"{title}, continued.", f"{label}-{number}", "")
        if number > 1
        else _float(part, f"{title}. {explanation}".rstrip(), label, note)
        for number, part in enumerate(tabulars, start=1)
    ]


def _float(tabular: str, caption: str, label: str, below: str) -> str:
    label = re.sub(r"[^A-Za-z0-9:.-]+", "-", label)
    return FLOAT.format(caption=caption, label=label, tabular=tabular, below=below)
