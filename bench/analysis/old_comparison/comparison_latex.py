"""Comparisons as tables for LaTeX."""

from __future__ import annotations

from distillation_bench.bench.analysis.markup.latex import escape_latex
from distillation_bench.bench.analysis.markup.latex_tables import (
    floats,
    preamble,
    split_rows,
    tabular,
)
from distillation_bench.bench.analysis.old_comparison.across_datasets import AcrossDatasets
from distillation_bench.bench.analysis.old_comparison.comparison_text import (
    COLUMNS,
    allowed_sentence,
    legend,
    marked_label,
    pair_cells,
    shared_decimals,
)
from distillation_bench.bench.analysis.old_comparison.method_comparison import Comparison
from distillation_bench.bench.analysis.old_comparison.method_pairs import MethodPair
from distillation_bench.bench.analysis.old_comparison.sentences import (
    across_sentence,
    chance_sentences,
    left_out_sentence,
)
from distillation_bench.bench.analysis.old_comparison.within_datasets import DatasetComparison

TESTS = {"p flip": r"$p_\mathrm{flip}$", "p rank": r"$p_\mathrm{rank}$"}
SYMBOLS = {"d_z": "$d_z$", "P": "$P$", **TESTS}
"""Names of columns on the terminal, and their symbols."""


def comparison_latex(*comparisons: Comparison) -> str:
    """Return a float or more for each dataset, then average ranks if there are any."""
    text = [preamble()]
    for comparison in comparisons:
        for entry in comparison.datasets:
            text += _pair_floats(comparison, entry)
        if not comparison.datasets:
            text += [rf"\par {escape_latex(sentence)}" for sentence in chance_sentences(comparison)]
        if comparison.across:
            text += _rank_floats(comparison, comparison.across)
    return "\n".join(text)


def _pair_floats(comparison: Comparison, entry: DatasetComparison) -> list[str]:
    places = shared_decimals(entry.pairs)
    names = ["method", *([] if comparison.baseline else ["against"])]
    headers = [*names, "mean", r"95\,\% interval", "$d_z$", "$P$", "W/T/L", "$n$", *TESTS.values()]
    rows = [_row(comparison, pair, places) for pair in entry.pairs]
    alignment = "l" * len(names) + "r" * len(COLUMNS)
    pages = [tabular(headers, [rows[i] for i in part], alignment) for part in split_rows(len(rows))]
    against = f"differences to {comparison.baseline}" if comparison.baseline else "all pairs"
    title = escape_latex(f"{comparison.metric} on {entry.dataset}, {against}")
    name = f"tab:compare-{comparison.metric}-{entry.dataset}-{comparison.baseline or 'all'}"
    return floats(pages, title, _explanation(comparison, entry), name)


def _row(comparison: Comparison, pair: MethodPair, places: int) -> list[str]:
    labels = [pair.first] if comparison.baseline else [pair.first, pair.second]
    # A minus and not a hyphen, since `escape_latex` sets it in maths.
    cells = [cell.replace("-", "−").replace("*", "") for cell in pair_cells(pair, places)]
    return [escape_latex(text) for text in (*(marked_label(comparison, x) for x in labels), *cells)]


def _explanation(comparison: Comparison, entry: DatasetComparison) -> str:
    """Return the text below a table's title, in LaTeX; columns are named as in the table."""
    text = escape_latex(legend(comparison).replace("; * p flip at most .05", ""))
    for name, symbol in SYMBOLS.items():
        # As its definition begins with it.
        text = text.replace(f" {escape_latex(name)}: ", f" {symbol}: ")
    parts = [allowed_sentence(entry)] if comparison.is_tested else []
    parts += [left_out_sentence(entry)]
    not_comparable = comparison.not_comparable.items()
    parts += [f"Not compared on {name}: {why}." for name, why in not_comparable]
    parts += chance_sentences(comparison)
    return " ".join([text, *(escape_latex(part) for part in parts if part)])


def _rank_floats(comparison: Comparison, across: AcrossDatasets) -> list[str]:
    rows = [
        [escape_latex(marked_label(comparison, label)), f"{rank:.2f}"]
        for label, rank in zip(across.labels, across.ranks, strict=True)
    ]
    pages = [
        tabular(["method", "average rank"], [rows[i] for i in part], "lr")
        for part in split_rows(len(rows))
    ]
    title = escape_latex(f"Average ranks by {comparison.metric}")
    explanation = escape_latex(across_sentence(comparison))
    return floats(pages, title, explanation, f"tab:ranks-{comparison.metric}")
