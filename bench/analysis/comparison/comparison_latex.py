"""Comparisons as tables for LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

from distillation_bench.bench.analysis.comparison.comparison_text import (
    COLUMNS,
    SMALLEST,
    legend,
    marked_label,
    pair_cells,
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
        if comparison.across:
            text += _rank_floats(comparison)
    return "\n".join(text)


def _pair_floats(comparison: Comparison, dataset: str, explanation: str) -> list[str]:
    baseline, pairs = comparison.baseline, comparison.printed
    pairs, rows = pairs[pairs["dataset"] == dataset], []
    for pair in pairs.itertuples():
        labels = [pair.first] if baseline else [pair.first, pair.second]
        cells = pair_cells(pair, shared_decimals(pairs))
        # A minus and not a hyphen, since `escape_latex` sets it in maths.
        texts = [cells[name].replace("-", "−").strip(f"*{SMALLEST}") for name in COLUMNS]
        rows.append([*(marked_label(comparison, label) for label in labels), *texts])
    names = ["method"] if baseline else ["method", "against"]
    headers = [*names, *(SYMBOLS.get(name, name) for name in COLUMNS)]
    against = f"differences to {baseline}" if baseline else "all pairs"
    title = f"{comparison.format.title} on {dataset}, {against}"
    notes = [
        comparison.note,
        allowed_sentence(comparison, dataset),
        left_out_sentence(comparison, dataset),
    ]
    notes += [f"{line}." for line in verdict_lines(comparison) if " not compared: " in line]
    text = " ".join([explanation, *(escape_latex(note) for note in notes if note)]).strip()
    name = f"compare-{comparison.metric}-{dataset}-{baseline or 'all'}"
    return _floats(headers, rows, "l" * len(names) + "r" * len(COLUMNS), (title, text, name))


def _rank_floats(comparison: Comparison) -> list[str]:
    rows = [
        [marked_label(comparison, label), f"{rank:.2f}"]
        for label, rank in comparison.ranks.itertuples(index=False)
    ]
    title = f"Average ranks by {comparison.format.name}"
    notes = [f"{ranks_sentence(comparison)}.", *further_notes(comparison)[-1:]]
    text, name = escape_latex(" ".join(notes)), f"ranks-{comparison.metric}"
    return _floats(["method", "average rank"], rows, "lr", (title, text, name))


def _floats(
    headers: Sequence[str], rows: Sequence[Sequence[str]], columns: str, texts: tuple[str, str, str]
) -> list[str]:
    """Return rows of plain text as floats; the texts are title, explanation (LaTeX) and name."""
    cells = [[escape_latex(text) for text in row] for row in rows]
    pages = [tabular(headers, [cells[i] for i in part], columns) for part in split_rows(len(cells))]
    title, explanation, name = texts
    return floats(pages, escape_latex(title), explanation, f"tab:{name}")
