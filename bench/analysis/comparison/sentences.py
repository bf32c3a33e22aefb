"""A comparison in sentences: which method is better, by how much, and on what evidence."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from distillation_bench.bench.analysis.missing_cells import describe_seeds
from distillation_bench.bench.analysis.statistics import (
    ALPHA,
    seeds_needed,
    smallest_corrected_p,
    smallest_p,
)
from distillation_bench.bench.common.text import counted

if TYPE_CHECKING:
    from distillation_bench.bench.analysis.comparison.methods import Comparison

SPELLED_OUT = 5
"""Number of differences of a dataset that get a sentence each; then their number is given."""


def verdict_lines(comparison: Comparison) -> list[str]:
    """Return a line for each dataset or, if they are few, for each pair that is tested."""
    name, lines = comparison.format.name, [comparison.note] if comparison.note else []
    if comparison.is_tested or not comparison.note:
        lines += [line for x in comparison.datasets.index for line in _verdicts(comparison, x)]
    reasons = {k: f"not compared: {why}" for k, why in comparison.not_compared.items()}
    reasons |= {k: f"{reasons[k]}, so none is better" for k in comparison.below_chance}
    reasons |= comparison.chance_unknown
    lines += [f"{name} on {dataset}: {why}" for dataset, why in reasons.items()]
    return [*lines, ranks_sentence(comparison)] if comparison.across else lines


def _verdicts(comparison: Comparison, dataset: str) -> Iterator[str]:
    pairs, start = comparison.pairs, f"{comparison.format.name} on {dataset}"
    tested = pairs[pairs["tested"] & pairs["dataset"].eq(dataset)]
    different = by_p(tested[tested["distinguishable"]], "effect")
    n, total, _, needed = comparison.datasets.loc[dataset]
    n, total = int(n), int(total)
    if needed or not total:
        yield f"{start}: {power_text(n, total)}"
    elif total <= SPELLED_OUT:
        yield from _spelled_out(comparison, start, tested, different, n)
    elif different.empty:
        yield (
            f"{start}: no two methods are statistically distinguishable in {total} comparisons, "
            f"n = {n} (the smallest {p_equation(tested['p_holm'].min())} after Holm's correction)"
        )
    else:
        count = f"{len(different)} of {total} pairs are statistically distinguishable, n = {n}"
        if len(different) <= SPELLED_OUT or comparison.baseline or not comparison.format.better:
            yield from comparison.verdicts["verdict"][different.index[:SPELLED_OUT]]
            yield f"{start}: {count}"
        else:
            best = standings(comparison, tested).iloc[0]
            which = "all" if best["better"] == best.sum() else f"{best['better']} of"
            rest = f"{which} {best.sum()} other methods and worse than {best['worse'] or 'none'}"
            yield f"{start}: {best.name} is better than {rest}; {count}"


def by_p(tests: pd.DataFrame, size: str) -> pd.DataFrame:
    """Return tests by their p-values; of equal ones the largest effects first."""
    sizes = tests.assign(size=-tests[size].abs())
    return sizes.sort_values(["p_holm", "p", "size"], kind="stable").drop(columns="size")


def _spelled_out(
    comparison: Comparison, start: str, tested: pd.DataFrame, different: pd.DataFrame, n: int
) -> Iterator[str]:
    """Yield a line for each pair; one for those that are not distinguishable from a baseline."""
    others = tested.drop(different.index)
    is_short = others["n"].map(smallest_p) > ALPHA
    short, alike = others[is_short], others[~is_short]
    is_joined = comparison.baseline and len(alike) > 1
    spelled = [*different.index, *short.index, *([] if is_joined else alike.index)]
    yield from comparison.verdicts["verdict"][spelled]
    if is_joined:
        yield (
            f"{start}: {', '.join(alike['first'])} are not statistically distinguishable from "
            f"{comparison.baseline}, n = {n} (the smallest {p_equation(alike['p_holm'].min())})"
        )


def standings(comparison: Comparison, tested: pd.DataFrame) -> pd.DataFrame:
    """Return how many others a label is better and worse than, and is not distinguishable from.

    Args:
        comparison: gives the direction of the metric.
        tested: pairs of one dataset.

    Returns:
        `better`, `worse`, `alike` by label; those that are better than most come first.
    """
    gains = np.sign(tested["mean"]) * (-1 if comparison.metric.better == "lower" else 1)
    outcomes = gains.where(tested["distinguishable"], 0)
    labels = pd.concat([tested["first"], tested["second"]], ignore_index=True)
    counts = pd.crosstab(labels, pd.concat([outcomes, -outcomes], ignore_index=True))
    table = counts.reindex(columns=[1, -1, 0], fill_value=0)
    table.columns = pd.Index(["better", "worse", "alike"])
    return table.sort_values(["better", "worse"], ascending=[False, True], kind="stable")


def verdicts(comparison: Comparison) -> pd.DataFrame:
    """Return `dataset`, `first`, `second` and, in words, the `verdict` of each pair."""
    pairs = comparison.printed
    texts = [_verdict(comparison, pair) for pair in pairs.itertuples()]
    return pairs[["dataset", "first", "second"]].assign(verdict=pd.Series(texts, dtype=object))


def _verdict(comparison: Comparison, pair: Any) -> str:
    name, better = comparison.format.name, comparison.format.better
    amount, row = _amount(comparison, pair), comparison.datasets.loc[pair.dataset]
    which = f"{name}: {pair.first} and {pair.second} on {pair.dataset}"
    if not pair.tested:
        return f"{which} are not tested: {amount}"
    if row["seeds_needed"] or smallest_p(pair.n) > ALPHA:
        return f"{which}: {power_text(pair.n, int(row['comparisons']))}"
    if not pair.distinguishable:
        return f"{which} are not statistically distinguishable: {amount}"
    first, second = _best_first(pair, pair.mean, better)
    verb = "is better than" if better else f"has a lower {name} than"
    return f"{name}: {first} {verb} {second} on {pair.dataset} by {amount}"


def _best_first(pair: Any, difference: float, better: str) -> tuple[str, str]:
    """Return the better label of a pair, then the other; without a direction the lower one."""
    is_first = (difference > 0) == (better == "higher")
    return (pair.first, pair.second) if is_first else (pair.second, pair.first)


def _amount(comparison: Comparison, pair: Any) -> str:
    """Return a difference with its unit, interval, n and p: `0.20 nats [0.11, 0.29], n = 9, …`.

    Of methods that are distinguishable it is the size of the difference.
    """
    sign = -1 if pair.distinguishable and pair.mean < 0 else 1
    limits = sign * pair.mean, *sorted((sign * pair.low, sign * pair.high))
    mean, low, high = (fixed(x, decimals(pair.high - pair.low)) for x in limits)
    unit = {"%": " points", "": ""}.get(comparison.format.unit, f" {comparison.format.unit}")
    interval = "" if math.isnan(pair.low) else f" [{low}, {high}]"
    p = f", {p_equation(pair.p_holm)}" if pair.tested else ""
    return f"{mean}{unit}{interval}, n = {pair.n}{p}"


def power_text(n: int, comparisons: int, unit: str = "seed") -> str:
    """Return why no test of n pairs, one of some comparisons, can reach .05, and what is needed.

    Pairs are of seeds or of datasets: the unit.
    """
    if not comparisons:
        return "nothing is tested: no two students"
    needed = counted(seeds_needed(comparisons), unit)
    possible = f"the {p_equation(smallest_p(n), 'smallest possible p')}"
    if comparisons > 1:
        corrected = p_equation(smallest_corrected_p(comparisons, n))
        possible += f", after Holm's correction over {comparisons} comparisons {corrected}"
    return f"cannot tell with n = {n}: at least {needed} are needed ({possible})"


def allowed_sentence(comparison: Comparison, dataset: str) -> str:
    """Return what the number of seeds and comparisons on a dataset allows; empty without tests."""
    n, total, smallest, needed = comparison.datasets.loc[dataset]
    n, total = int(n), int(total)
    if not comparison.is_tested:
        return ""
    if needed or not total:
        text = power_text(n, total)
        return f"{text[:1].upper()}{text[1:]}."
    possible = f"the {p_equation(smallest_p(n), 'smallest possible p')}"
    tests, seeds = counted(total, "comparison"), counted(n, "seed")
    return f"{tests}, n up to {seeds}: {possible}, after Holm {p_equation(smallest)}."


def further_notes(comparison: Comparison) -> list[str]:
    """Return what is left out, and what holds on all datasets together."""
    notes = [left_out_sentence(comparison, dataset) for dataset in comparison.datasets.index]
    if comparison.is_tested or not comparison.note:
        labels = "; ".join(f"{label}: {why}" for label, why in comparison.incomplete.items())
        notes.append(_pooled_sentence(comparison))
        if not comparison.across:
            notes.append(f"Across datasets nothing is tested: {comparison.no_across}.")
        elif labels:
            notes.append(f"Left out across datasets, since incomplete: {labels}.")
    return [note for note in notes if note]


def left_out_sentence(comparison: Comparison, dataset: str) -> str:
    """Return what is left out of a dataset's comparisons; empty if nothing is."""
    cells = comparison.unusable[comparison.unusable["dataset"].eq(dataset)]
    labels = cells.groupby("label", observed=True)
    parts = [f"{label}: {describe_seeds(group)}" for label, group in labels]
    parts += [f"{pair}, not paired" for pair in comparison.not_paired[dataset]]
    return f"Left out on {dataset}: {'; '.join(parts)}." if parts else ""


def ranks_sentence(comparison: Comparison) -> str:
    """Return the ranks over datasets, and which of them differ; empty if nothing is ranked."""
    across, name = comparison.across, comparison.format.name
    if across is None:
        return ""
    ranks = ", ".join(f"{label} {rank:.2f}" for label, rank in across.ranks.itertuples(index=False))
    start = f"{name} across {len(across.seeds)} datasets: {len(across.ranks)} methods"
    end = f"(Friedman's {p_equation(across.friedman)}); average ranks, 1 is best: {ranks}"
    if across.friedman > ALPHA:
        return f"{start} are not statistically distinguishable {end}"
    labels = across.ranks["label"]
    i, j = np.nonzero(np.triu(across.nemenyi <= ALPHA, 1))
    pairs = first_few([f"{a} and {b}" for a, b in zip(labels[i], labels[j], strict=True)], ", ")
    return (
        f"{start} differ {end}; by Nemenyi's test average ranks at least "
        f"{across.critical_difference:.2f} apart differ{f': {pairs}' if pairs else '; none are'}"
    )


def first_few(parts: list[str], separator: str, few: int = 3) -> str:
    """Return the first parts, and how many more there are."""
    more = [f"and {len(parts) - few} more"] if len(parts) > few else []
    return separator.join([*parts[:few], *more])


def _pooled_sentence(comparison: Comparison) -> str:
    """Return what the seeds of all datasets together show on exactly these datasets."""
    tests, names = comparison.pooled, comparison.datasets.index
    if tests.empty:
        return ""
    different = by_p(tests[tests["p_holm"] <= ALPHA], "scaled_mean")
    parts = first_few([_pooled_clause(comparison, x) for x in different.itertuples()], "; ")
    n, total = int(tests["n"].max()), len(tests)
    few = smallest_corrected_p(total, n) > ALPHA
    none = power_text(n, total, "pair") if few else "no methods are statistically distinguishable"
    return (
        f"{comparison.format.name} on exactly these datasets ({', '.join(names)}), seeds pooled, "
        "in differences scaled by each dataset's root mean square, sign-flip after Holm over "
        f"{counted(total, 'comparison')}: {parts or none}. It says nothing about other datasets."
    )


def _pooled_clause(comparison: Comparison, test: Any) -> str:
    first, second = _best_first(test, test.scaled_mean, comparison.metric.better)
    adjective, count = "better" if comparison.format.better else "lower", len(test.datasets)
    on = count if count == len(comparison.datasets) else ", ".join(test.datasets)
    return (
        f"{first} is {adjective} than {second} in standardised differences, by "
        f"{abs(test.scaled_mean):.2f} (n = {test.n} on {on}; {p_equation(test.p_holm)}; its mean "
        f"is {adjective} on {test.agreeing} of {count} datasets)"
    )


def p_text(p: float) -> str:
    """Return a p-value as `.250`, `<.001` or `1`; a dash for nan."""
    if math.isnan(p):
        return "–"
    return "<.001" if p < 0.001 else "1" if p >= 0.9995 else f"{p:.3f}"[1:]


def p_equation(p: float, name: str = "p") -> str:
    """Return `p = .25` or `p < .001`."""
    return f"{name} < .001" if p < 0.001 else f"{name} = {p_text(p).rstrip('0')}"


def fixed(value: float, places: int) -> str:
    """Return a number with so many decimals, and a zero without a sign; a dash for nan."""
    return "–" if math.isnan(value) else f"{round(value, places) + 0.0:.{places}f}"


def decimals(scale: float) -> int:
    """Return the number of decimals that show two digits of a value of this size."""
    if not scale > 0 or math.isinf(scale):
        return 3
    return min(max(1 - math.floor(math.log10(scale)), 0), 9)
