"""Hydra+: heads that fit the labels, the ensemble's mean and a member each, and are diverse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from distillation_bench.methods import base
from distillation_bench.methods.base import Batch, Method, parameter
from distillation_bench.methods.lazy import heads, torch
from distillation_bench.methods.schedules import Coefficient, Share, Temperature

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


EPSILON = 1e-8
"""ε of the original code: added to both squared norms of a cosine, and to their product."""


def similarity(layers: Iterable[Tensor], epsilon: float = 0.0) -> list[Tensor]:
    """Return ½(1 + cos) between each head's row and the same row of the mean head.

    Args:
        layers: of the heads, [S, R, F] each: S heads, R rows of F weights.
        epsilon: added to the squared norms and to the product of the norms.

    Returns:
        [S, R] for each layer.
    """
    squares, mean_squares, products = zip(*map(_lengths_and_products, layers), strict=True)
    rows = [product.shape[-1] for product in products]
    # All layers at once, because they are many and small.
    both = (torch.cat(squares, -1) + epsilon) * (torch.cat(mean_squares, -1) + epsilon)
    # If a row or the mean is 0, the angle is undefined: ½, with a finite gradient.
    lengths = torch.where(both > 1e-24, both, 1.0).sqrt() + epsilon
    cosine = torch.cat(products, -1) / lengths
    return list(torch.split((1 + cosine) / 2, rows, -1))


def _lengths_and_products(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return |w_s|² [S, R], |w̄|² [R] and w_s·w̄ [S, R] of rows w_s [S, R, F] and their mean w̄."""
    mean = rows.mean(0)
    return rows.square().sum(-1), mean.square().sum(-1), (rows * mean).sum(-1)


def diversity(layers: Iterable[Tensor], normalise: bool = True) -> Tensor:
    """Return L4, the similarity of the heads' weights; 1 if all heads point the same way.

    Ferianc & Rodrigues 2022 (arXiv 2205.09526), equation of L4. Normalised, it is the mean over
    layers of the mean over heads and rows, so that λ has the same effect for every width, depth and
    number of heads. Otherwise it is the plain sum of the original code, with its ε. Biases are rows
    of one element, whose cosine is a sign with hardly a gradient: the sum includes them, the mean
    does not.

    Args:
        layers: of the heads, [S, R, F] each: S heads, R rows of F weights.
        normalise: whether to take means.

    Raises:
        ValueError: no layer has rows of more than one element.
    """
    included = [rows for rows in layers if rows.shape[-1] > 1 or not normalise]
    if not included:
        raise ValueError("diversity needs heads with more than one input")
    terms = similarity(included, 0.0 if normalise else EPSILON)
    parts = torch.stack([term.mean() if normalise else term.sum() for term in terms])
    return parts.mean() if normalise else parts.sum()


class HydraPlus(Method):
    """Hydra+, Ferianc & Rodrigues 2022 (arXiv 2205.09526).

    a[(1 − b) aggregation + b individuality] + (1 − a) correctness + λ diversity, with the terms L2,
    L3, L1 and L4 of the paper.
    """

    name = "hydra+"
    summary = "Hydra with correctness, aggregation and a regulariser of the heads' diversity"
    paper = "Ferianc & Rodrigues 2022, arXiv 2205.09526"

    class Parameters(base.Parameters):
        heads: int | None = parameter(None, "heads; none: one per member", ge=1, le=10_000)
        temperature: Temperature = parameter(4.0, "T of individuality", dataset=True)
        a: Share = parameter(0.9, "weight of the teacher against the labels", dataset=True)
        b: Share = parameter(0.5, "weight of individuality against aggregation", dataset=True)
        lam: Coefficient = parameter(
            3.0,
            "λ, weight of diversity; 3 is this suite's choice. The paper's as weights of a mean "
            "(λ × heads × rows, for 20 / 10 / 5 heads): spiral 16480 / 14420 / 9270, "
            "sine 4.2 / 20.8 / 312, CIFAR-10 26 / 330 / 330, SVHN 5.3 / 5.3 / 13.3",
            dataset=True,
        )
        normalise: bool = parameter(True, "diversity as a mean; false: the original code's sum")
        correction: int = parameter(
            0, "1: variances of mixtures have 1/(S − 1), as in the original code", ge=0, le=1
        )

    def build(self, generator: Generator) -> nn.Module:
        count = self.parameters.heads or self.setting.members
        if min(count, self.setting.members) <= self.parameters.correction:
            raise ValueError("correction=1 needs two heads and members at least")
        return heads.core_and_heads(self.setting.networks, count, generator)

    def loss(self, outputs: Tensor, batch: Batch, now: Parameters) -> Mapping[str, Tensor]:
        return {
            "correctness": self.task.correctness(outputs, batch.y),
            "aggregation": self.task.aggregation(outputs, batch.teacher, correction=now.correction),
            "individuality": self.task.individuality(outputs, batch.teacher, now.temperature),
            "diversity": diversity(heads.rows(batch.network), now.normalise),
        }

    def weights(self, now: Parameters) -> Mapping[str, float]:
        return {
            "correctness": 1 - now.a,
            "aggregation": now.a * (1 - now.b),
            "individuality": now.a * now.b,
            "diversity": now.lam,
        }
