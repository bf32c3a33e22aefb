"""All pairs of methods on one dataset: they are one family of Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distillation_bench.bench.analysis.holm import seeds_needed, smallest_corrected_p
from distillation_bench.bench.analysis.old_comparison.method_pairs import (
    MethodPair,
    compare_pair,
    correct_pairs,
    pairs_to_compare,
    untested,
)
from distillation_bench.bench.analysis.old_missing_cells import SeedsByReason, describe_seeds
from distillation_bench.bench.analysis.old_pairing import PairedValues
from distillation_bench.bench.analysis.statistics import ALPHA


class NotComparable(Exception):
    """Nothing can be compared on a dataset; the message is the reason."""


@dataclass(frozen=True)
class DatasetComparison:
    """The comparisons on one dataset.

    Attributes:
        dataset: name of the dataset.
        pairs: pairs that were compared, tested or not.
        unusable: seeds that cannot be used, by label and reason.
        not_paired: pairs without a seed under the same teacher, each with the reason.
    """

    dataset: str
    pairs: tuple[MethodPair, ...]
    unusable: Mapping[str, SeedsByReason]
    not_paired: tuple[str, ...]

    @property
    def tested(self) -> tuple[MethodPair, ...]:
        """The family of Holm's correction."""
        return tuple(pair for pair in self.pairs if pair.is_tested)

    @property
    def n(self) -> int:
        """Number of seeds of the pair that has most."""
        return max(pair.n for pair in self.tested or self.pairs)

    @property
    def smallest_p(self) -> float:
        """The smallest corrected p that this number of seeds and comparisons allows."""
        return smallest_corrected_p(len(self.tested), self.n) if self.tested else math.nan

    @property
    def seeds_needed(self) -> int:
        """Number of seeds with which a comparison could reach .05; 0 if there are enough."""
        return seeds_needed(len(self.tested)) if self.smallest_p > ALPHA else 0


def compare_on_dataset(
    values: PairedValues, dataset: str, baseline: str, better: str, rivals: Sequence[str]
) -> DatasetComparison:
    """Compare all labels that have values on a dataset.

    Args:
        values: values of the metric.
        dataset: name of the dataset.
        baseline: label that all others are compared with; empty for all pairs.
        better: direction of the metric.
        rivals: labels whose pairs are tested.

    Raises:
        NotComparable: there are no two labels with paired values.
    """
    labels, unusable = values.usable_labels(dataset), values.unusable(dataset)
    _check_labels(labels, unusable, baseline)
    pairs, not_paired = [], []
    for names in pairs_to_compare(labels, baseline):
        keys = values.shared(dataset, names)
        if keys:
            first, second = (values.values(dataset, label, keys) for label in names)
            pair = compare_pair(names, first, second, [seed for seed, _ in keys], better)
            pairs.append(pair if set(names) <= set(rivals) else untested(pair))
        else:
            common = values.have_common_seeds(dataset, names)
            reason = "other teachers or sets" if common else "no seed in common"
            not_paired.append(f"{names[0]} and {names[1]}: {reason}")
    if not pairs:
        raise NotComparable(f"nothing is paired: {not_paired[0]}")
    return DatasetComparison(dataset, correct_pairs(pairs), unusable, tuple(not_paired))


def _check_labels(
    labels: Sequence[str], unusable: Mapping[str, SeedsByReason], baseline: str
) -> None:
    if not labels:
        raise NotComparable("no method has it")
    if baseline and baseline not in labels:
        reasons = describe_seeds(unusable[baseline]) if baseline in unusable else "missing"
        raise NotComparable(f"the baseline {baseline}: {reasons}")
    if len(labels) < 2:
        raise NotComparable(f"only {labels[0]} has it")
