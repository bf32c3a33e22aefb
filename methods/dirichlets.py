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


def fitted(log_p: Tensor, weights: Tensor, steps: int, cap: float) -> Tensor:
    """Return the concentrations [B, C] of the Dirichlet of weighted samples, by fixed-point steps.

    Its mean is that of the samples; its precision α₀ maximises their likelihood for that mean. From
    the precision of the samples' moments, each step is

        α₀ ← (C − 1) / [(C − 1)/α₀ − ψ(α₀) + Σ_c p̄_c (ψ(α₀ p̄_c) − mean ln p_c)],

    Minka 2000, "Estimating a Dirichlet distribution". Equal samples have an infinite precision.

    Args:
        log_p: log-probabilities of the samples [S, B, C], in float64.
        weights: of the samples [S], which sum to 1.
        steps: their number.
        cap: the largest precision.
    """
    shares, classes = weights[:, None, None], log_p.shape[-1]
    mean, mean_log = (shares * log_p.exp()).sum(0), (shares * log_p).sum(0)
    variance = (shares * (log_p.exp() - mean).square()).sum((0, -1))
    spread = (mean * (1 - mean)).sum(-1)
    precision = (spread / variance.clamp(min=SMALLEST) - 1).clamp(SMALLEST, cap)
    for _ in range(steps):
        alpha = (precision[:, None] * mean).clamp(min=SMALLEST)
        excess = (mean * (alpha.digamma() - mean_log)).sum(-1)
        inverse = (classes - 1) / precision - precision.digamma() + excess
        # Where it is not positive, the likelihood grows without end.
        precision = ((classes - 1) / inverse.clamp(min=(classes - 1) / cap)).clamp(SMALLEST, cap)
    return precision[:, None] * mean
