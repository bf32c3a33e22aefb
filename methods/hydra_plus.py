"""Hydra+: heads that are right, together as the ensemble, each as a member, and diverse."""

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
"""The original code's ε, under both roots of a cosine and beside their product."""


def similarity(layers: Iterable[Tensor], epsilon: float = 0.0) -> list[Tensor]:
    """½(1 + cos) between each head's row and the mean head's, of each layer [S, R, F] -> [S, R]."""
    squares, mean_squares, products = zip(*map(_lengths_and_products, layers), strict=True)
    rows = [product.shape[-1] for product in products]
    # All layers at once: they are small, and there are many of them.
    both = (torch.cat(squares, -1) + epsilon) * (torch.cat(mean_squares, -1) + epsilon)
    # Without a direction (a head or the mean is 0) there is no angle: ½, with a finite gradient.
    lengths = torch.where(both > 1e-24, both, 1.0).sqrt() + epsilon
    cosine = torch.cat(products, -1) / lengths
    return list(torch.split((1 + cosine) / 2, rows, -1))


def _lengths_and_products(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """|w_s|² [S, R], |w̄|² [R] and w_s·w̄ [S, R] of heads' rows w_s [S, R, F] and their mean w̄."""
    mean = rows.mean(0)
    return rows.square().sum(-1), mean.square().sum(-1), (rows * mean).sum(-1)


def diversity(layers: Iterable[Tensor], normalise: bool = True) -> Tensor:
    """L4 of the heads' layers, each [S, R, F]; 1 where all heads point the same way.

    Normalised: the mean over layers of the mean over heads and rows, so that λ means the same at
    every width, depth and head count. Otherwise the original code's plain sum, with its ε. Biases
    are rows of one element, whose cosine is a sign with hardly a gradient: the sum has them, the
    mean has not.

    Raises:
        ValueError: no layer has rows of more than one element.
    """
    taken = [rows for rows in layers if rows.shape[-1] > 1 or not normalise]
    if not taken:
        raise ValueError("diversity needs heads with more than one input")
    terms = similarity(taken, 0.0 if normalise else EPSILON)
    parts = torch.stack([term.mean() if normalise else term.sum() for term in terms])
    return parts.mean() if normalise else parts.sum()


class HydraPlus(Method):
    """a[(1 − b) aggregation + b individuality] + (1 − a) correctness + λ diversity."""

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
