"""Comparisons as tables, with what they mean, for the terminal and for LaTeX."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from distillation_bench.bench.analysis.comparison.methods import Comparison
from distillation_bench.bench.analysis.comparison.sentences import (
    allowed_sentence,
    by_p,
    decimals,
    fixed,
    further_notes,
    left_out_sentence,
    p_text,
    power_text,
    ranks_sentence,
    standings,
    verdict_lines,
)
from distillation_bench.bench.analysis.latex import escape_latex, floats, preamble, tabulars
from distillation_bench.bench.analysis.statistics import ALPHA, can_reach_alpha, smallest_p
from distillation_bench.bench.common.terminal_tables import terminal_width, text_table
from distillation_bench.bench.common.text import counted, terminal_safe

COLUMNS = (
    *("difference", "95 % interval", "n", "p", "p Holm", "d_z", "P", "W/T/L"),
    *("p rank", "p rank Holm"),
)
FEW_SEEDS = ("difference", "95 % interval", "n", "p", "d_z", "P", "W/T/L")
"""Where no test can reach .05, a correction says no more, nor does another test."""
COSTS = ("difference", "n")
"""What is chosen and not measured has no spread."""
ACROSS = ("n", "p", "p Holm", "W/T/L", "p rank", "p rank Holm")
"""Without averages: datasets' values need not be of the same size or unit."""
STANDINGS = ("method", "better than", "worse than", "not distinguishable from")
MAX_ROWS = 30
"""Pairs of a table that compares all with all; files hold the others, too."""
MANY_PAIRS = 10
"""Of more pairs there is a summary, too: how many others each method is better than."""
SMALLEST = "°"
"""Marks a p-value that is too large for .05 and can't be smaller with so few seeds."""
SYMBOLS = {
    "p rank": r"$p_\mathrm{rank}$",
    "p rank Holm": r"$p_\mathrm{rank}$ Holm",
    "p Holm": "$p$ Holm",
    "95 % interval": r"95\,\% interval",
    **{"n": "$n$", "p": "$p$", "P": "$P$", "d_z": "$d_z$"},
}
"""Names of columns on the terminal, and their symbols."""


def comparison_text(*comparisons: Comparison, width: int | None = None) -> str:
    """Return the verdicts of all metrics, then their tables, then what the columns mean.

    Args:
        comparisons: one for each metric.
        width: characters per line; by default those of the terminal.
    """
    width = width or terminal_width()
    verdicts = [_wrapped(x, width, "  ") for each in comparisons for x in verdict_lines(each)]
    parts = [part for comparison in comparisons for part in _parts(comparison)]
    parts += [legend(*comparisons, marks=True), *dict.fromkeys(each.runs for each in comparisons)]
    texts = [_wrapped(x, width) if isinstance(x, str) else _fitted(x, width) for x in parts]
    return "\n\n".join(filter(None, ["\n".join(verdicts), *texts]))


def _wrapped(text: str, width: int, indent: str = "") -> str:
    # No line ends between the parts of `p = .05`.
    tied = re.sub(" ([=<]) ", "\N{NO-BREAK SPACE}\\1\N{NO-BREAK SPACE}", terminal_safe(text))
    lines = textwrap.fill(
        tied, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return lines.replace("\N{NO-BREAK SPACE}", " ")


def _fitted(table: pd.DataFrame, width: int) -> str:
    rows = [[terminal_safe(str(cell)) for cell in row] for row in table.to_numpy()]
    align = ["left", *["right"] * (table.shape[1] - 1)]
    return text_table(rows, list(table), align=align, width=width)


def _parts(comparison: Comparison) -> Iterator[str | pd.DataFrame]:
    """Yield the paragraphs and the tables of a comparison."""
    for dataset, pairs in comparison.printed.groupby("dataset", sort=False):
        title, columns = (
            f"{comparison.format.title} on {dataset}",
            pair_columns(comparison, dataset),
        )
        is_many = len(pairs) > MANY_PAIRS and not comparison.baseline and comparison.format.better
        if is_many and pairs["distinguishable"].any():
            yield title
            table = standings(comparison, pairs[pairs["tested"]])
            yield table.reset_index().set_axis(STANDINGS, axis=1)
        yield from _pairs_table(comparison, title, pairs, columns)
        if columns == COLUMNS:
            yield allowed_sentence(comparison, str(dataset))
    if comparison.across:
        n, pairs = len(comparison.across.seeds), comparison.across.pairs
        title = f"{comparison.format.name} on {n} datasets, means over seeds"
        yield from _pairs_table(comparison, title, pairs, ACROSS)
        if not can_reach_alpha(len(pairs), n):
            yield f"Pair by pair: {power_text(n, len(pairs), 'dataset')}."
    yield from further_notes(comparison)


def _pairs_table(
    comparison: Comparison, title: str, pairs: pd.DataFrame, columns: Sequence[str]
) -> Iterator[str | pd.DataFrame]:
    """Yield the title, the table, and how to see pairs that it leaves out."""
    shown, baseline = pairs, comparison.baseline
    against = f"method − {marked_label(comparison, baseline)}" if baseline else "first − second"
    title += f": {against}"
    if is_cut := len(pairs) > MAX_ROWS and not baseline:
        is_tested = pairs["tested"].any()
        shown = (by_p(pairs, "effect") if is_tested else pairs).head(MAX_ROWS)
        title += f", {MAX_ROWS} of {len(pairs)} pairs{', smallest p first' if is_tested else ''}"
    yield title
    yield pair_texts(comparison, shown, columns, shared_decimals(pairs))
    if is_cut:
        left = counted(len(pairs) - MAX_ROWS, "more pair")
        yield f"{left}: see --csv, --json or --baseline LABEL."


# For LaTeX


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
        comparison.runs,
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
    pages = tabulars(
        [SYMBOLS.get(x, x) for x in table], table.map(escape_latex).to_numpy().tolist()
    )
    return floats(pages, escape_latex(title), explanation, f"tab:{name}")


# For both


def pair_columns(comparison: Comparison, dataset: object) -> tuple[str, ...]:
    """Return the columns of a dataset's table that say something."""
    row = comparison.datasets.loc[dataset]
    if comparison.format.exact:
        return COSTS
    return FEW_SEEDS if row["seeds_needed"] or not row["comparisons"] else COLUMNS


def pair_texts(
    comparison: Comparison, pairs: pd.DataFrame, columns: Sequence[str], places: int
) -> pd.DataFrame:
    """Return `method` and the columns, as texts, of rows of `Comparison.printed`.

    Means have so many decimal places, see `shared_decimals`.
    """
    names = ["first"] if comparison.baseline else ["first", "second"]
    labels = pairs[names].map(lambda label: marked_label(comparison, label))
    texts = [_pair_texts(pair, places) for pair in pairs.itertuples()]
    table = pd.DataFrame(texts, pairs.index, columns=list(columns))
    table.insert(0, "method", labels.agg(" − ".join, axis=1))
    return table


def marked_label(comparison: Comparison, label: str) -> str:
    """Return a label; that of a reference with a mark."""
    return f"{label} (ref.)" if label in comparison.references else label


def _pair_texts(pair: Any, places: int) -> dict[str, str]:
    limits = f"{fixed(pair.low, places)} to {fixed(pair.high, places)}"
    return {
        "difference": fixed(pair.mean, places),
        "95 % interval": "–" if math.isnan(pair.low) else limits,
        "n": str(pair.n),
        "p": _marked_p(pair),
        "p Holm": p_text(pair.p_holm) + ("*" if pair.distinguishable else ""),
        "d_z": fixed(pair.effect, 2),
        "P": fixed(pair.improvement, 2),
        "W/T/L": f"{pair.wins}/{pair.ties}/{pair.losses}",
        "p rank": _marked_p(pair, "p_rank"),
        "p rank Holm": p_text(pair.p_rank_holm),
    }


def _marked_p(pair: Any, test: str = "p") -> str:
    p, corrected = getattr(pair, test), getattr(pair, f"{test}_holm")
    is_smallest = corrected > ALPHA and p <= smallest_p(pair.n) * (1 + 1e-9)
    return p_text(p) + (SMALLEST if is_smallest else "")


def shared_decimals(pairs: pd.DataFrame) -> int:
    """Return the decimals of all means: two digits of the median, but not far below the spread."""
    largest = pairs["differences"].map(lambda differences: max(map(abs, differences))).median()
    return decimals(max(pairs["mean"].abs().median(), largest / 9))


def legend(*comparisons: Comparison, marks: bool) -> str:
    """Return what the columns mean; each is said once for all comparisons.

    Args:
        comparisons: what is shown.
        marks: whether the tables mark p-values.
    """
    shown = [comparison for comparison in comparisons if len(comparison.pairs)]
    better = [each.format for each in shown if each.format.better]
    is_tested = any(comparison.is_tested for comparison in shown)
    columns = {x for each in shown for k in each.datasets.index for x in pair_columns(each, k)}
    columns |= {x for each in shown if each.across for x in ACROSS}
    texts = [text for each in shown for text in each.pairs.apply(_marked_p, axis=1)]
    parts = {
        **{f"{each.name}: {each.better} is better.": True for each in better},
        "Differences are of pairs with the same teacher and seed.": bool(shown),
        "Those of values in % are in percentage points.": any(x.format.unit == "%" for x in shown),
        "d_z: Cohen's, with Hedges' correction.": bool(shown),
        PROBABILITY: bool(better),
        f"W/T/L: seeds on which the method is {BETTER if better else ABOVE}.": bool(shown),
        INTERVALS: "95 % interval" in columns,
        "p: sign-flip test, two-sided.": is_tested,
        "p rank: Wilcoxon's, two-sided.": is_tested and "p rank" in columns,
        HOLM: is_tested and "p Holm" in columns,
        "* p Holm at most .05.": marks and any(x.pairs["distinguishable"].any() for x in shown),
        f"{SMALLEST} no smaller p is possible with this n.": marks and SMALLEST in "".join(texts),
        BASELINE: is_tested and any(comparison.baseline for comparison in shown),
        ACROSS_DATASETS: any(comparison.across for comparison in shown),
        "–: not tested.": not all(comparison.pairs["tested"].all() for comparison in shown),
        REFERENCE: any(comparison.references and not comparison.note for comparison in shown),
    }
    notes = [note for each in shown for note in (each.at_bound, each.format.note) if note]
    parts |= {f"{note[:1].upper()}{note[1:]}.": True for note in notes}
    return " ".join(part for part, holds in parts.items() if holds)


BETTER, ABOVE = "better, equal, worse", "above, equal, below"
PROBABILITY = "P: probability that one of its runs is better than one of the other's, of any seed."
INTERVALS = (
    "Student's t intervals assume normal differences; each is for one comparison alone, not "
    "corrected."
)
HOLM = "Holm: after Holm's correction over the comparisons of the dataset, as the p of sentences."
BASELINE = "The correction holds for a baseline that was chosen before the values were seen."
ACROSS_DATASETS = (
    "Across datasets n and W/T/L count datasets, by means over seeds; p and p rank test the "
    "differences of these means; datasets with larger differences weigh more."
)
REFERENCE = "(ref.): a bound, not a student; tested only if requested."
