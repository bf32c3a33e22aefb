"""Which cells have no values, and why, in the words of tables, comparisons and figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from distillation_bench.bench.storage.formats.schema import STATUSES

SeedsByReason = Mapping[str, Sequence[int]]
"""Why cells of a label have no usable values, with their seeds."""


def describe_counts(statuses: Iterable[str]) -> str:
    """Return how many cells are not done: `1 failed and 2 missing of 5`; empty if all are done.

    Args:
        statuses: of all planned cells.
    """
    counts = Counter(statuses)
    unfinished = (status for status in STATUSES if status != "done" and counts[status])
    parts = [f"{counts[status]} {status}" for status in unfinished]
    return f"{' and '.join(parts)} of {counts.total()}" if parts else ""


def describe_seeds(reasons: SeedsByReason) -> str:
    """Return the reasons of one label with their seeds: `failed (seed 2), nan (seeds 0-1)`."""
    return ", ".join(
        f"{reason} (seed{'s' if len(seeds) > 1 else ''} {_ranges(seeds)})"
        for reason, seeds in reasons.items()
    )


def _ranges(seeds: Sequence[int]) -> str:
    """Return seeds with successive ones joined: `0-2, 5`."""
    runs: list[list[int]] = []
    for seed in sorted(seeds):
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
