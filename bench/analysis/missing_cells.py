"""Which cells have no values, and why, in the words of tables, comparisons and figures."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from distillation_bench.bench.storage.formats.schema import STATUSES


def describe_counts(statuses: Iterable[str]) -> str:
    """Return how many cells are not done: `1 failed and 2 missing of 5`; empty if all are done.

    Args:
        statuses: of all planned cells.
    """
    counts = pd.Series(list(statuses), dtype=object).value_counts()
    parts = [f"{counts[s]} {s}" for s in STATUSES if s != "done" and s in counts]
    return f"{' and '.join(parts)} of {counts.sum()}" if parts else ""


def describe_seeds(cells: pd.DataFrame) -> str:
    """Return the reasons of one label with their seeds: `failed (seed 2), nan (seeds 0-1)`.

    Args:
        cells: `seed` and `reason`, see `pairing.unusable_cells`.
    """
    return ", ".join(
        f"{reason} (seed{'s' if len(seeds) > 1 else ''} {seed_ranges(seeds)})"
        for reason, seeds in cells.groupby("reason", sort=False)["seed"]
    )


def seed_ranges(seeds: Iterable[int]) -> str:
    """Return seeds with successive ones joined: `0-2, 5`."""
    ordered = pd.Series(sorted(seeds))
    runs = ordered.groupby((ordered.diff() != 1).cumsum()).agg(["min", "max"])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs.itertuples(index=False))
