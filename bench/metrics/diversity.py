"""How much S members or heads differ on N examples; nan if S < 2, as there are no pairs.

Logarithms are natural. A nan in the input makes the value nan.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from distillation_bench.bench.metrics.arrays import (
    NAN,
    as_float64,
    as_variances,
    kl_divergence,
    top_class,
)


def disagreement(probabilities: ArrayLike) -> float:
    """Share of unordered pairs with different top-1 classes, averaged over examples, 0 to 1.

    1 − Σ_c n_c (n_c − 1) / (S (S − 1)), where n_c members predict class c (Fort et al. 2019).
    Of equally probable classes the first counts.

    Args:
        probabilities: [S, N, C]; any scores that order classes alike will do.

    Raises:
        ValueError: the array is empty or not three-dimensional.
    """
    table = as_float64("probabilities", probabilities, 3)
    members, examples, classes = table.shape
    if members < 2:
        return NAN
    top, chosen = top_class(table)
    if np.isnan(top).any():
        return NAN
    indices = chosen + classes * np.arange(examples)
    votes = np.bincount(indices.ravel(), minlength=examples * classes)
    agreeing = (votes * (votes - 1)).sum()
    return float(1 - agreeing / (examples * members * (members - 1)))


def pairwise_kl(log_probabilities: ArrayLike) -> float:
    """Mean of KL(p_i‖p_j) over ordered pairs i ≠ j and examples, in nats (Malinin et al. 2021).

    It is inf if a member gives probability 0 to a class that another does not. As ln p_j enters
    linearly, the sum over j needs its mean alone: Σ_i KL(p_i ‖ exp(mean_j ln p_j)) / (S − 1).

    Args:
        log_probabilities: ln p [S, N, C]; −inf for 0.

    Raises:
        ValueError: the array is empty or not three-dimensional.
    """
    log_p = as_float64("log_probabilities", log_probabilities, 3)
    members = len(log_p)
    if members < 2:
        return NAN
    return float(kl_divergence(log_p, log_p.mean(0)).sum(0).mean() / (members - 1))


def pairwise_kl_gaussian(means: ArrayLike, variances: ArrayLike) -> float:
    """Mean of KL(N_i‖N_j) between Gaussians over ordered pairs i ≠ j and examples, in nats.

    The logarithms of the variances cancel over ordered pairs. What remains is
    ½ (v_i + (m_i − m_j)²) / v_j − ½, whose sum over i needs the moments of all i alone. It is inf
    if a member has variance 0, unless all are the same point mass.

    Args:
        means, variances: [S, N].

    Raises:
        ValueError: empty input, not two-dimensional, shapes that differ, or a negative variance.
    """
    mean = as_float64("means", means, 2)
    variance = as_variances("variances", variances, mean.shape)
    members = len(mean)
    if members < 2:
        return NAN
    deviations = mean - mean.mean(0)
    # Σ_i v_i + (m_i − m_j)², for each j.
    spread = (variance + deviations * deviations).sum(0) + members * deviations * deviations
    with np.errstate(divide="ignore", invalid="ignore"):
        pairs = ((spread / variance).sum(0) - members**2) / 2
    same = (mean == mean[0]).all(0) & (variance == variance[0]).all(0)
    return float(np.where(same, 0.0, pairs).mean() / (members * (members - 1)))
