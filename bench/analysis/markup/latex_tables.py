"""Tables of LaTeX that compile and fit the page.

A document needs `\\usepackage{booktabs,graphicx}`, and `xcolor` if values are grey.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

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


def preamble(*packages: str) -> str:
    """Return a comment that names the packages that the tables need, with further ones."""
    return rf"% needs \usepackage{{{','.join(('booktabs', 'graphicx', *packages))}}}"


def tabular(headers: Sequence[str], rows: Sequence[Sequence[str]], columns: str) -> str:
    """Return a booktabs table, scaled down where it would not fit the line or the page.

    Args:
        headers: header of each column, in LaTeX.
        rows: cells, in LaTeX; an empty row is a thin rule.
        columns: alignment of the columns, e.g. "lrr".
    """
    body = "\n".join(_row(row) if row else r"\midrule" for row in rows)
    table = TABULAR.format(columns=columns, headers=_row(headers), body=body)
    width = r"\ifdim\width>\linewidth\linewidth\else\width\fi"
    fitted = f"\\resizebox{{{width}}}{{!}}{{%\n{table}}}"
    height = r"\ifdim\totalheight>0.8\textheight 0.8\textheight\else\totalheight\fi"
    return f"\\resizebox*{{!}}{{{height}}}{{%\n{fitted}}}" if len(rows) > TALL else fitted


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def split_rows(count: int) -> list[range]:
    """Return the indices of the rows of each table, as even as possible, if they are many."""
    parts = -(-count // MAX_ROWS)
    ends = [round(count * part / parts) for part in range(parts + 1)] if parts else [0]
    return [range(first, end) for first, end in pairwise(ends)]


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
