"""Tables of LaTeX that compile and fit the page.

A document needs `\\usepackage{booktabs,graphicx}`, and `xcolor` if values are grey.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

MAX_ROWS = 45
"""Rows that fit a page; further ones go into another table."""
TALL = 30
"""More rows than this may be taller than a page with a caption: the height is limited, too."""


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
    lines = [
        r"\setlength{\tabcolsep}{4pt}%",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _row(headers),
        r"\midrule",
        *(_row(row) if row else r"\midrule" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return _fit_page("\n".join(lines), is_tall=len(rows) > TALL)


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _fit_page(text: str, is_tall: bool) -> str:
    width = r"\ifdim\width>\linewidth\linewidth\else\width\fi"
    text = f"\\resizebox{{{width}}}{{!}}{{%\n{text}}}"
    height = r"\ifdim\totalheight>0.8\textheight 0.8\textheight\else\totalheight\fi"
    return f"\\resizebox*{{!}}{{{height}}}{{%\n{text}}}" if is_tall else text


def split_rows(count: int) -> list[range]:
    """Return the indices of the rows of each table, if rows are split to fit pages."""
    return [range(first, min(first + MAX_ROWS, count)) for first in range(0, count, MAX_ROWS)]


def floats(tabulars: Iterable[str], title: str, explanation: str, label: str) -> list[str]:
    """Return a float for each part of a table; the caption of the first has the explanation.

    Args:
        tabulars: parts of the table.
        title, explanation: in LaTeX; the title without a full stop.
        label: any text; parts after the first get their number behind it.
    """
    return [
        _float(part, f"{title}, continued.", f"{label}-{number}")
        if number > 1
        else _float(part, f"{title}. {explanation}".rstrip(), label)
        for number, part in enumerate(tabulars, start=1)
    ]


def _float(tabular: str, caption: str, label: str) -> str:
    lines = [
        r"\begin{table}[tbp]",
        r"\centering",
        rf"\caption{{{caption}}}",
        rf"\label{{{re.sub(r'[^A-Za-z0-9:.-]+', '-', label)}}}",
        r"\smallskip",
        tabular,
        r"\end{table}",
        "",
    ]
    return "\n".join(lines)
