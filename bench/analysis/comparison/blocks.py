"""One metric's figures in blocks: by dataset and method, by seed; and what is missing in them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from distillation_bench.bench.analysis.results import MetricInfo, Results
from distillation_bench.bench.metrics.outcome import Array
from distillation_bench.bench.storage.tables import CellKey

Gaps = Mapping[str, Sequence[int]]
"""By reason, the seeds that were asked for and can't be used."""
Key = tuple[int, str]
"""What a pair shares: the seed, and its teacher with the evaluation sets."""


class Blocks:
    """The finite figures of some labels; the others are gaps with their reasons."""

    def __init__(
        self,
        results: Results,
        metric: MetricInfo,
        figures: Mapping[CellKey, float],
        labels: Sequence[str],
    ) -> None:
        self.labels = labels
        self._figures: dict[tuple[str, str], dict[Key, float]] = {}
        self._gaps: dict[tuple[str, str], dict[str, list[int]]] = {}
        wanted = set(labels)
        for slot, cell in results.cells.items():
            dataset, label, seed = slot
            if label not in wanted:
                continue
            value = figures.get(slot)
            if value is not None and math.isfinite(value):
                self._figures.setdefault((dataset, label), {})[seed, cell["measured"]] = value
            else:
                status = results.statuses[slot]
                reason = f"no {metric}" if status == "done" else status
                reason = reason if value is None else str(value)
                self._gaps.setdefault((dataset, label), {}).setdefault(reason, []).append(seed)

    def usable(self, dataset: str) -> list[str]:
        """Labels that have a figure on a dataset."""
        return [label for label in self.labels if (dataset, label) in self._figures]

    def gaps(self, dataset: str) -> dict[str, Gaps]:
        """By label, what is missing on a dataset."""
        found = {label: self._gaps.get((dataset, label)) for label in self.labels}
        return {label: gaps for label, gaps in found.items() if gaps}

    def shared(self, dataset: str, labels: Sequence[str]) -> list[Key]:
        """Seeds and teachers that all of these labels have on a dataset, ascending."""
        keys = (self._figures.get((dataset, label), {}).keys() for label in labels)
        return sorted(set.intersection(*map(set, keys)))

    def have_seeds_in_common(self, dataset: str, labels: Sequence[str]) -> bool:
        """Whether two labels have seeds in common, be it under other teachers."""
        first, second = ({seed for seed, _ in self._figures[dataset, each]} for each in labels)
        return bool(first & second)

    def values(self, dataset: str, label: str, keys: Sequence[Key]) -> Array:
        """A label's figures [n] at these seeds and teachers."""
        figures = self._figures[dataset, label]
        return np.array([figures[key] for key in keys])


def gaps_text(gaps: Gaps) -> str:
    """Of one label: `failed (seed 2), nan (seeds 0-1)`."""
    return ", ".join(
        f"{reason} (seed{'s' if len(seeds) > 1 else ''} {_ranges(seeds)})"
        for reason, seeds in gaps.items()
    )


def _ranges(seeds: Sequence[int]) -> str:
    """Seeds, runs of them joined: `0-2, 5`."""
    runs: list[list[int]] = []
    for seed in sorted(seeds):
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
