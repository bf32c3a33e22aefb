"""Subsets that keep every class, and remarks about classes with few examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

KEPT_PER_CLASS = 2
"""Examples of each class that a subset has first of all."""
MOST_NAMES = 5
"""How many names of a longer list are given."""


def stratified_rows(labels: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return the rows of a random subset with `class_quotas` examples of each class, ascending.

    Args:
        labels: [N].
        size: of the subset, at most N.
        rng: draws the rows.
    """
    order = rng.permutation(len(labels))
    grouped = order[np.argsort(labels[order], kind="stable")]
    counts = np.unique(labels, return_counts=True)[1]
    ends = counts.cumsum()
    quotas = class_quotas(counts, size, rng)
    ranges = zip(ends - counts, quotas, strict=True)
    return np.sort(np.concatenate([grouped[start : start + n] for start, n in ranges]))


def class_quotas(counts: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return how many examples of each class a subset has, [C].

    First, each class gets two examples (or its only one); if the subset is too small, one; if it is
    still too small, none. The rest is distributed in proportion to the remaining examples of the
    classes, by the largest remainder; ties between remainders are broken at random.

    Args:
        counts: examples of each class [C].
        size: of the subset, at most the sum of counts.
        rng: breaks ties.
    """
    first = _first_examples(counts, size)
    rest, seats = counts - first, size - first.sum()
    whole, remainders = np.divmod(seats * rest, max(rest.sum(), 1))
    lots = rng.permutation(len(counts))
    largest = np.lexsort((lots, -remainders))[: seats - whole.sum()]
    whole[largest] += 1
    return np.asarray(first + whole)


def _first_examples(counts: np.ndarray, size: int) -> np.ndarray:
    """Return the examples that each class gets first, as many as fit into the subset."""
    choices = (np.minimum(counts, most) for most in range(KEPT_PER_CLASS, 0, -1))
    fitting = (choice for choice in choices if choice.sum() <= size)
    return next(fitting, np.zeros_like(counts))


def rare_classes(counts: Mapping[str, Sequence[int]], names: Sequence[str]) -> list[str]:
    """Return lines that name the classes with too few examples to train on or to test.

    Args:
        counts: examples of each class in "train", "validation" and "test".
        names: of the classes.
    """
    limits = (
        ("train", KEPT_PER_CLASS, f"classes of fewer than {KEPT_PER_CLASS} training examples"),
        ("validation", 1, "classes without a validation example"),
        ("test", 1, "classes without a test example"),
    )
    return [
        f"{what}: {shortened_list(rare)}"
        for split, least, what in limits
        if (rare := _below(counts.get(split, ()), least, names))
    ]


def _below(counts: Sequence[int], least: int, names: Sequence[str]) -> list[str]:
    """Return the names of classes with fewer than `least` examples."""
    # A split that is not known yet has no counts.
    return [name for name, count in zip(names, counts, strict=False) if count < least]


def shortened_list(names: Sequence[str], most: int = MOST_NAMES) -> str:
    """Return names separated by commas; of a long list, the first few and the number of others."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
