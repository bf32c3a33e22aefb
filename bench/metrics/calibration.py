"""Calibration of class probabilities: ECE, adaptive ECE, reliability diagrams.

N examples, C classes. A nan in the input makes the value nan. No value depends on the order of the
examples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from distillation_bench.bench.metrics.arrays import probability_table, top1_correctness
from distillation_bench.bench.metrics.order_statistics import averaged_over_ties
from distillation_bench.bench.metrics.outcome import Array


def ece(probabilities: ArrayLike, targets: ArrayLike, bins: int = 15) -> float:
    """Expected calibration error of the top-1 class over bins of equal width, 0 to 1.

    Σ_b (n_b / N) |accuracy_b − confidence_b| over B bins ((b − 1)/B, b/B] of the highest
    probability (Guo et al. 2017); 0 belongs to the first bin.

    Args:
        probabilities: [N, C].
        targets: classes [N].
        bins: B.

    Raises:
        ValueError: empty input, probabilities outside [0, 1], shapes that do not match, targets
            outside [0, C), or no bins.
    """
    _require_bins(bins)
    confidence, correct = top1_correctness(probability_table(probabilities), targets)
    inner_edges = np.linspace(0, 1, bins + 1)[1:-1]
    errors = np.bincount(np.searchsorted(inner_edges, confidence), weights=correct - confidence)
    return float(np.abs(errors).sum() / len(confidence))


def reliability(probabilities: ArrayLike, targets: ArrayLike, bins: int = 15) -> Array:
    """Reliability diagram of the top-1 class: the bins that `ece` sums over.

    Examples whose confidence is nan are left out.

    Args:
        probabilities: [N, C].
        targets: classes [N].
        bins: B.

    Returns:
        [3, B]: for each bin of the highest probability the number of examples, their mean
        confidence and their accuracy; the last two are nan in an empty bin.
    """
    confidence, correct = top1_correctness(probability_table(probabilities), targets)
    finite = ~np.isnan(confidence)
    confidence, correct = confidence[finite], correct[finite]
    bin_of = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence)
    counts = np.bincount(bin_of, minlength=bins)
    sums = [np.bincount(bin_of, values, bins) for values in (confidence, correct)]
    with np.errstate(invalid="ignore"):
        return np.stack([counts, *(total / counts for total in sums)])


def adaptive_ece(probabilities: ArrayLike, targets: ArrayLike, bins: int = 15) -> float:
    """Expected calibration error of the top-1 class over bins of equal mass, 0 to 1.

    As `ece`, but the examples are sorted by confidence and cut into B bins whose sizes differ by at
    most one, the larger bins first (Nguyen & O'Connor 2015). Examples of equal confidence share
    their mean correctness, so that a cut between them does not depend on their order. Fewer than B
    examples get a bin each.

    Args:
        probabilities: [N, C].
        targets: classes [N].
        bins: B.

    Raises:
        ValueError: as `ece`.
    """
    _require_bins(bins)
    confidence, correct = averaged_over_ties(
        *top1_correctness(probability_table(probabilities), targets)
    )
    size, larger = divmod(len(confidence), bins)
    sizes = size + (np.arange(min(bins, len(confidence))) < larger)
    errors = np.add.reduceat(correct - confidence, sizes.cumsum() - sizes)
    return float(np.abs(errors).sum() / len(confidence))


def _require_bins(bins: int) -> None:
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")
