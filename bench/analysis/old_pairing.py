"""Values of two methods paired by seed and teacher, and the cells that cannot be paired.

Two values are a pair if their cells have the same dataset and seed, and were measured against the
same teacher on the same evaluation sets.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from distillation_bench.bench.analysis.old_missing_cells import SeedsByReason
from distillation_bench.bench.analysis.old_results import MetricInfo, Results
from distillation_bench.bench.metrics.outcome import Array
from distillation_bench.bench.storage.tables import CellKey

PairKey = tuple[int, str]
"""What the two cells of a pair share: the seed, and the key of the teacher with the sets."""


def pair_key(results: Results, cell: CellKey) -> PairKey:
    """Return what a cell shares with the cells that it can be paired with."""
    return cell[2], results.cells[cell]["measured"]


def shared_keys(*methods: Mapping[PairKey, float]) -> list[PairKey]:
    """Return the keys that all methods have, in ascending order."""
    return sorted(set.intersection(*map(set, methods)))


def paired_differences(first: Mapping[PairKey, float], second: Mapping[PairKey, float]) -> Array:
    """Return the differences [n] of the first method's values and the second's."""
    return np.array([first[key] - second[key] for key in shared_keys(first, second)])


class PairedValues:
    """The finite values of one metric by dataset and label, and the reasons of the others.

    Attributes:
        labels: labels of the methods that are compared.
    """

    def __init__(
        self,
        results: Results,
        metric: MetricInfo,
        values: Mapping[CellKey, float],
        labels: Sequence[str],
    ) -> None:
        self.labels = labels
        self._values: dict[tuple[str, str], dict[PairKey, float]] = {}
        self._unusable: dict[tuple[str, str], dict[str, list[int]]] = {}
        for cell in results.cells:
            dataset, label, seed = cell
            if label not in labels:
                continue
            value = values.get(cell)
            if value is not None and math.isfinite(value):
                self._values.setdefault((dataset, label), {})[pair_key(results, cell)] = value
            else:
                reason = _reason(results, metric, cell) if value is None else str(value)
                reasons = self._unusable.setdefault((dataset, label), {})
                reasons.setdefault(reason, []).append(seed)

    def usable_labels(self, dataset: str) -> list[str]:
        """Return the labels that have a value on a dataset."""
        return [label for label in self.labels if (dataset, label) in self._values]

    def unusable(self, dataset: str) -> dict[str, SeedsByReason]:
        """Return the seeds without a finite value on a dataset, by label and reason."""
        reasons = {label: self._unusable.get((dataset, label)) for label in self.labels}
        return {label: seeds for label, seeds in reasons.items() if seeds}

    def shared(self, dataset: str, labels: Sequence[str]) -> list[PairKey]:
        """Return the seeds and teachers that all of these labels have on a dataset."""
        return shared_keys(*(self._values.get((dataset, label), {}) for label in labels))

    def have_common_seeds(self, dataset: str, labels: Sequence[str]) -> bool:
        """Return whether two labels have a seed in common, under whatever teachers."""
        first, second = ({seed for seed, _ in self._values[dataset, label]} for label in labels)
        return bool(first & second)

    def values(self, dataset: str, label: str, keys: Sequence[PairKey]) -> Array:
        """Return a label's values [n] for seeds and teachers that it has."""
        values = self._values[dataset, label]
        return np.array([values[key] for key in keys])


def _reason(results: Results, metric: MetricInfo, cell: CellKey) -> str:
    """Return why a cell has no value: its status, or that it lacks the metric."""
    status = results.statuses[cell]
    return f"no {metric}" if status == "done" else status
