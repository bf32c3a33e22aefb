"""Comparisons for the terminal: verdicts first, then tables, and what they mean once at the end."""

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
    decimals,
    fixed,
    further_notes,
    p_text,
    power_text,
    standings,
    verdict_lines,
)
from distillation_bench.bench.analysis.holm import can_reach_alpha
from distillation_bench.bench.analysis.statistics import ALPHA, smallest_p
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
MAX_ROWS = 30
"""Pairs of a table that compares all with all; files hold the others, too."""
MANY_PAIRS = 10
"""Of more pairs there is a summary, too: how many others each method is better than."""
SMALLEST = "°"
"""Marks a p-value that is too large for .05 and can't be smaller with so few seeds."""


def comparison_text(*comparisons: Comparison, width: int | None = None) -> str:
    """Return the verdicts of all metrics, then their tables, then what the columns mean.

    Args:
        comparisons: one for each metric.
        width: characters per line; by default those of the terminal.
    """
    width = width or terminal_width()
    verdicts = [_wrapped(x, width, "  ") for each in comparisons for x in verdict_lines(each)]
    parts = [part for comparison in comparisons for part in _parts(comparison, width)]
    parts.append(_wrapped(legend(*comparisons, marks=True), width))
    return "\n\n".join(filter(None, ["\n".join(verdicts), *parts]))


def _wrapped(text: str, width: int, indent: str = "") -> str:
    wrapper = textwrap.TextWrapper(
        width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    # Not between the parts of `p = .05`.
    tied = re.sub(" ([=<]) ", "\N{NO-BREAK SPACE}\\1\N{NO-BREAK SPACE}", terminal_safe(text))
    return wrapper.fill(tied).replace("\N{NO-BREAK SPACE}", " ")


def _parts(comparison: Comparison, width: int) -> Iterator[str]:
    for dataset, pairs in comparison.printed.groupby("dataset", sort=False):
        yield from _on_dataset(comparison, str(dataset), pairs, width)
    if comparison.across:
        n, pairs = len(comparison.across.seeds), comparison.across.pairs
        # Without averages: datasets' values need not be of the same size or unit.
        title = f"{comparison.format.name} on {n} datasets, means over seeds"
        yield _pairs_table(comparison, title, pairs, ACROSS, width)
        if not can_reach_alpha(len(pairs), n):
            yield _wrapped(f"Pair by pair: {power_text(n, len(pairs), 'dataset')}.", width)
    yield from (_wrapped(note, width) for note in further_notes(comparison))


def _on_dataset(
    comparison: Comparison, dataset: str, pairs: pd.DataFrame, width: int
) -> Iterator[str]:
    title = f"{comparison.format.title} on {dataset}"
    row = comparison.datasets.loc[dataset]
    is_long = len(pairs) > MANY_PAIRS and not comparison.baseline
    if is_long and pairs["distinguishable"].any() and comparison.format.better:
        table = standings(comparison, pairs[pairs["tested"]]).reset_index()
        header = ("method", "better than", "worse than", "not distinguishable from")
        yield f"{_wrapped(title, width)}\n\n{_fitted([header, *table.to_numpy()], width)}"
    columns = (
        COSTS
        if comparison.format.exact
        else FEW_SEEDS
        if row["seeds_needed"] or not row["comparisons"]
        else COLUMNS
    )
    yield _pairs_table(comparison, title, pairs, columns, width)
    if columns == COLUMNS:
        yield _wrapped(allowed_sentence(comparison, dataset), width)


def _pairs_table(
    comparison: Comparison, title: str, pairs: pd.DataFrame, columns: Sequence[str], width: int
) -> str:
    places, shown, end = shared_decimals(pairs), pairs, ""
    other = marked_label(comparison, comparison.baseline) if comparison.baseline else "second"
    title += f": {'method' if comparison.baseline else 'first'} − {other}"
    if len(pairs) > MAX_ROWS and not comparison.baseline:
        is_tested, left = pairs["tested"].any(), counted(len(pairs) - MAX_ROWS, "more pair")
        order = pairs.assign(size=-pairs["effect"].abs()).sort_values(["p_holm", "p", "size"])
        shown = (order if is_tested else pairs).head(MAX_ROWS)
        title += f", {MAX_ROWS} of {len(pairs)} pairs{', smallest p first' if is_tested else ''}"
        end = _wrapped(f"{left}: see --csv, --json or --baseline LABEL.", width)
    rows = []
    for pair in shown.itertuples():
        labels = [pair.first] if comparison.baseline else [pair.first, pair.second]
        cells = pair_cells(pair, places)
        name = " − ".join(marked_label(comparison, label) for label in labels)
        rows.append([name, *(cells[column] for column in columns)])
    return "\n\n".join(
        filter(None, [_wrapped(title, width), _fitted([["method", *columns], *rows], width), end])
    )


def _fitted(rows: Sequence[Sequence[Any]], width: int) -> str:
    header, *body = [[terminal_safe(str(cell)) for cell in row] for row in rows]
    return text_table(body, header, align=["left", *["right"] * (len(header) - 1)], width=width)


# Parts that the LaTeX output shares


def marked_label(comparison: Comparison, label: str) -> str:
    """Return a label; that of a reference with a mark."""
    return f"{label} (ref.)" if label in comparison.references else label


def pair_cells(pair: Any, places: int) -> dict[str, str]:
    """Return the texts of a row of `Comparison.printed`, by column, with marks."""
    limits = f"{fixed(pair.low, places)} to {fixed(pair.high, places)}"
    too_large = smallest_p(pair.n) * (1 + 1e-9)
    marks = {
        "p": SMALLEST if pair.p_holm > ALPHA and pair.p <= too_large else "",
        "p rank": SMALLEST if pair.p_rank_holm > ALPHA and pair.p_rank <= too_large else "",
    }
    return {
        "difference": fixed(pair.mean, places),
        "95 % interval": "–" if math.isnan(pair.low) else limits,
        "n": str(pair.n),
        "p": p_text(pair.p) + marks["p"],
        "p Holm": p_text(pair.p_holm) + ("*" if pair.distinguishable else ""),
        "d_z": fixed(pair.effect, 2),
        "P": fixed(pair.improvement, 2),
        "W/T/L": f"{pair.wins}/{pair.ties}/{pair.losses}",
        "p rank": p_text(pair.p_rank) + marks["p rank"],
        "p rank Holm": p_text(pair.p_rank_holm),
    }


def shared_decimals(pairs: pd.DataFrame) -> int:
    """Return the decimals of all means: two digits of the median, but not far below the spread."""
    largest = pairs["differences"].map(lambda differences: max(map(abs, differences))).median()
    return decimals(max(pairs["mean"].abs().median(), largest / 9))


def legend(*comparisons: Comparison, marks: bool) -> str:
    """Return what the columns mean; each is said once for all comparisons.

    Args:
        comparisons: what is shown.
        marks: whether the tables have those of `pair_cells`.
    """
    shown = [comparison for comparison in comparisons if len(comparison.pairs)]
    better = [each.format for each in shown if each.format.better]
    is_tested = any(comparison.is_tested for comparison in shown)
    parts = {
        **{f"{each.name}: {each.better} is better.": True for each in better},
        "Differences are of pairs with the same teacher and seed.": bool(shown),
        "Those of values in % are in percentage points.": any(x.format.unit == "%" for x in shown),
        "d_z: Cohen's, with Hedges' correction.": bool(shown),
        PROBABILITY: bool(better),
        f"W/T/L: seeds on which the method is {BETTER if better else ABOVE}.": bool(shown),
        TESTS: is_tested,
        SIGNS: is_tested and marks,
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
TESTS = (
    "Student's t intervals assume normal differences; each is for one comparison alone, not "
    "corrected. p: sign-flip test, p rank: Wilcoxon's, both two-sided; Holm: after Holm's "
    "correction over the comparisons of the dataset, as the p of sentences."
)
SIGNS = f"* p Holm at most .05; {SMALLEST} no smaller p is possible with this n."
BASELINE = "The correction holds for a baseline that was chosen before the values were seen."
ACROSS_DATASETS = (
    "Across datasets n and W/T/L count datasets, by means over seeds; p and p rank test the "
    "differences of these means; datasets with larger differences weigh more."
)
REFERENCE = "(ref.): a bound, not a student; tested only if requested."
