"""Subsets in which no class vanishes, and words for classes that are rare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

KEPT = 2  # rows of each class that come first
NAMED = 5  # of a longer list, how many are named


def stratified_rows(labels: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """The rows, ascending, of a random subset in which every class has its `class_quotas`."""
    order = rng.permutation(len(labels))
    grouped = order[np.argsort(labels[order], kind="stable")]
    counts = np.unique(labels, return_counts=True)[1]
    ends = counts.cumsum()
    taken = class_quotas(counts, size, rng)
    places = zip(ends - counts, taken, strict=True)
    return np.sort(np.concatenate([grouped[start : start + n] for start, n in places]))


def class_quotas(counts: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """How many of each class are among `size`.

    Two of each class come first (all of a smaller one); where there is no room for that, one of
    each; where not even for that, none. The others are shared out in proportion to what is left of
    the classes, by the largest remainder; equal remainders are drawn by lot.

    Args:
        counts: of each class.
        size: of the subset, at most their sum.
        rng: draws the lots.
    """
    first = _first(counts, size)
    rest, seats = counts - first, size - first.sum()
    whole, remainders = np.divmod(seats * rest, max(rest.sum(), 1))
    lots = rng.permutation(len(counts))
    largest = np.lexsort((lots, -remainders))[: seats - whole.sum()]
    whole[largest] += 1
    return np.asarray(first + whole)


def _first(counts: np.ndarray, size: int) -> np.ndarray:
    kept = (np.minimum(counts, each) for each in range(KEPT, 0, -1))
    return next((each for each in kept if each.sum() <= size), np.zeros_like(counts))


def rare_classes(counts: Mapping[str, Sequence[int]], names: Sequence[str]) -> list[str]:
    """Lines that name the classes with too few rows to learn or to test.

    Args:
        counts: of each class in "train", "validation" and "test".
        names: of the classes.
    """
    kinds = (
        ("train", KEPT, f"classes of fewer than {KEPT} training examples"),
        ("validation", 1, "classes without a validation example"),
        ("test", 1, "classes without a test example"),
    )
    return [
        f"{what}: {shortened_list(rare)}"
        for part, least, what in kinds
        if (rare := _below(counts.get(part, ()), least, names))
    ]


def _below(counts: Sequence[int], least: int, names: Sequence[str]) -> list[str]:
    # Of those that `counts` doesn't reach nothing is known.
    return [name for name, count in zip(names, counts, strict=False) if count < least]


def shortened_list(names: Sequence[str], most: int = NAMED) -> str:
    """A list of names for a line, cut short where it is long."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
