"""Comparisons as tables for LaTeX."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from distillation_bench.bench.analysis.comparison.comparison_text import (
    SMALLEST,
    legend,
    marked_label,
    pair_columns,
    pair_texts,
    shared_decimals,
)
from distillation_bench.bench.analysis.comparison.methods import Comparison
from distillation_bench.bench.analysis.comparison.sentences import (
    allowed_sentence,
    further_notes,
    left_out_sentence,
    ranks_sentence,
    verdict_lines,
)
from distillation_bench.bench.analysis.markup.latex import escape_latex
from distillation_bench.bench.analysis.markup.latex_tables import (
    floats,
    preamble,
    split_rows,
    tabular,
)

SYMBOLS = {
    "p rank": r"$p_\mathrm{rank}$",
    "p rank Holm": r"$p_\mathrm{rank}$ Holm",
    "p Holm": "$p$ Holm",
    "95 % interval": r"95\,\% interval",
    **{"n": "$n$", "p": "$p$", "P": "$P$", "d_z": "$d_z$"},
}
"""Names of columns on the terminal, and their symbols."""


def comparison_latex(*comparisons: Comparison) -> str:
    """Return a float or more for each dataset, then average ranks if there are any.

    What the columns mean is in the caption of the first one.
    """
    text, explanation = [preamble()], escape_latex(legend(*comparisons, marks=False))
    for name in ("d_z", "P", "p", "p rank"):
        # As its definition begins with it.
        explanation = explanation.replace(f" {escape_latex(name)}: ", f" {SYMBOLS[name]}: ")
    for comparison in comparisons:
        for dataset in comparison.datasets.index:
            text += _pair_floats(comparison, dataset, explanation)
            explanation = ""
        if comparison.pairs.empty:
            text += [rf"\par {escape_latex(line)}." for line in verdict_lines(comparison)]
        text += _rank_floats(comparison)
    return "\n".join(text)


def _pair_floats(comparison: Comparison, dataset: str, explanation: str) -> list[str]:
    baseline, pairs = comparison.baseline, comparison.printed
    pairs, columns = pairs[pairs["dataset"] == dataset], list(pair_columns(comparison, dataset))
    table = pair_texts(comparison, pairs, columns, shared_decimals(pairs))
    # A minus and not a hyphen, since `escape_latex` sets it in maths.
    table[columns] = table[columns].replace({"-": "−", f"[*{SMALLEST}]$": ""}, regex=True)
    against = f"differences to {baseline}" if baseline else "all pairs"
    notes = [
        comparison.note,
        allowed_sentence(comparison, dataset),
        left_out_sentence(comparison, dataset),
        *(f"{line}." for line in verdict_lines(comparison) if " not compared: " in line),
    ]
    text = " ".join([explanation, *(escape_latex(note) for note in notes if note)]).strip()
    title = f"{comparison.format.title} on {dataset}, {against}"
    name = f"compare-{comparison.metric}-{dataset}-{baseline or 'all'}"
    return _floats(table, title, text, name)


def _rank_floats(comparison: Comparison) -> Iterator[str]:
    if comparison.across:
        table = comparison.ranks.set_axis(["method", "average rank"], axis=1)
        table["method"] = [marked_label(comparison, label) for label in table["method"]]
        table["average rank"] = table["average rank"].map("{:.2f}".format)
        notes = [f"{ranks_sentence(comparison)}.", *further_notes(comparison)[-1:]]
        title = f"Average ranks by {comparison.format.name}"
        yield from _floats(
            table, title, escape_latex(" ".join(notes)), f"ranks-{comparison.metric}"
        )


def _floats(table: pd.DataFrame, title: str, explanation: str, name: str) -> list[str]:
    """Return a table of plain text as floats; the explanation is LaTeX."""
    headers, columns = [SYMBOLS.get(x, x) for x in table], "l" + "r" * (table.shape[1] - 1)
    cells = table.map(escape_latex).to_numpy().tolist()
    pages = [tabular(headers, [cells[i] for i in part], columns) for part in split_rows(len(cells))]
    return floats(pages, escape_latex(title), explanation, f"tab:{name}")
