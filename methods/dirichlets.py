"""Dirichlet distributions: concentrations from outputs, their divergence, and their spread."""

from __future__ import annotations

import math

from torch import Tensor

from distillation_bench.methods.predictions import LOG_CONCENTRATION_LIMIT, log_softmax

SMALLEST = math.exp(-LOG_CONCENTRATION_LIMIT)
"""The smallest concentration: at 0, lnΓ is infinite."""


def concentrations(logits: Tensor, temperature: float = 1.0, offset: float = 0.0) -> Tensor:
    """Return α = exp(z/T) + offset in float64, with z/T clamped so that lnΓ(α) stays exact enough.

    Args:
        logits: z [..., C].
        temperature: T.
        offset: added to each concentration.
    """
    log_alpha = logits.double() / temperature
    return log_alpha.clamp(-LOG_CONCENTRATION_LIMIT, LOG_CONCENTRATION_LIMIT).exp() + offset


def divergence(p: Tensor, q: Tensor) -> Tensor:
    """Return KL(Dir(p) ‖ Dir(q)), [...], of concentrations p and q, [..., C] in float64.

    ln B(q) − ln B(p) + Σ (p_c − q_c)(ψ(p_c) − ψ(p₀)), where B is the multivariate beta function.
    """
    expected_log = p.digamma() - p.sum(-1, keepdim=True).digamma()
    return _log_beta(q) - _log_beta(p) + ((p - q) * expected_log).sum(-1)


def _log_beta(alpha: Tensor) -> Tensor:
    return alpha.lgamma().sum(-1) - alpha.sum(-1).lgamma()


def proxy(
    outputs: Tensor, temperature: float = 1.0, corrected: bool = False
) -> tuple[Tensor, Tensor]:
    """Return the mean [B, C] and the precision [B] of the proxy Dirichlet of members.

    Ryabinin et al. 2021 (arXiv 2105.06987): the precision is (C − 1) / (2 MKL), where MKL is the
    mean of KL(p̄ ‖ p_m) over the members. It is infinite where they agree.

    Args:
        outputs: logits of the members [M, B, C].
        temperature: of their softmax.
        corrected: whether MKL is multiplied by M/(M − 1): of M members, it is about 1 − 1/M of its
            value for infinitely many.
    """
    members, _, classes = outputs.shape
    log_p = log_softmax(outputs.double(), temperature)
    log_mean = log_p.logsumexp(0) - math.log(members)
    mean = log_mean.exp()
    divergence_of_mean = (mean * (log_mean - log_p.mean(0))).sum(-1).clamp(min=0)
    factor = members / (members - 1) if corrected and members > 1 else 1.0
    return mean, (classes - 1) / (2 * factor * divergence_of_mean)
