"""Distances between two distributions, each given by samples.

Samples are rows [..., N, D] and [..., M, D]; leading axes are independent problems, as examples.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

RELATIVE = (0.25, 1, 4)
"""Bandwidths as multiples of the mean squared distance of two samples."""
DIMENSIONAL = {
    "mmd-cifar10": [a / 640 for a in (2, 10, 20, 50)],
    "mmd-cifar100": [a / 6400 for a in (10, 15, 20, 50)],
}
"""Bandwidths per dimension, of Penso et al. 2022 for 64 images of 10 or 100 classes."""


def energy_distance(x: Tensor, y: Tensor, unbiased: bool = False) -> Tensor:
    """Return 2 E|x − y| − E|x − x'| − E|y − y'| of rows, [...].

    Székely & Rizzo 2013 (doi 10.1016/j.jspi.2013.03.018). It is 0 for equal distributions alone.

    Args:
        x: samples [..., N, D].
        y: samples [..., M, D].
        unbiased: as of `mmd`.
    """
    return _discrepancy(-_distances(x, x), -_distances(y, y), -_distances(x, y), unbiased)


def mmd(
    x: Tensor, y: Tensor, bandwidths: Iterable[float | Tensor], unbiased: bool = False
) -> Tensor:
    """Return the squared maximum mean discrepancy of rows, [...].

    E k(x, x') + E k(y, y') − 2 E k(x, y), Gretton et al. 2012 (JMLR 13, 723), with the kernel
    k(x, y) = Σ_a exp(−|x − y|²/(2a)).

    Args:
        x: samples [..., N, D].
        y: samples [..., M, D].
        bandwidths: a, squared distances.
        unbiased: whether E k(x, x') and E k(y, y') are means over pairs of different rows (the
            U-statistic; 0 for a single row). Otherwise each row is also paired with itself (the
            V-statistic). This gives the pairs that spread x the weight 1 − 1/N: what minimises it
            is narrower than y.
    """
    widths = list(bandwidths)

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        squares = _squares(x, y)
        return torch.stack([(squares / (-2 * width)).exp() for width in widths]).sum(0)

    return _discrepancy(kernel(x, x), kernel(y, y), kernel(x, y), unbiased)


def mmd_to_normal(x: Tensor, bandwidth: float) -> Tensor:
    """Return the unbiased `mmd` of rows [..., N, D] to N(0, I), in closed form, [...].

    Args:
        x: samples [..., N, D].
        bandwidth: a, a squared distance.
    """
    dimension = x.shape[-1]

    def mean_kernel(squares: Tensor, normals: int) -> Tensor:
        """E k, where the difference in each dimension has the given number of N(0, 1) added."""
        share = bandwidth / (bandwidth + normals)
        scale: float = share ** (dimension / 2)
        return scale * (-squares * share / (2 * bandwidth)).exp()

    pairs = _mean_of_pairs(mean_kernel(_squares(x, x), 0), unbiased=True)
    to_normal = mean_kernel(x.square().sum(-1), 1).mean(-1)
    between_normals = mean_kernel(torch.zeros_like(to_normal), 2)
    return pairs - 2 * to_normal + between_normals


def distance(name: str, x: Tensor, y: Tensor, unbiased: bool = False) -> Tensor:
    """Return the energy distance or an `mmd` of rows, whose bandwidths are scaled to the rows, [].

    Args:
        name: "energy"; "mmd", scaled by the mean of |x − y|²; or a name of `DIMENSIONAL`, scaled by
            the number of dimensions.
        x: samples [N, D].
        y: samples [M, D].
        unbiased: as of `mmd`.
    """
    if name == "energy":
        return energy_distance(x, y, unbiased)
    if name == "mmd":
        # Not below the smallest normal number, where quotients would overflow.
        scale = _squares(x, y).mean().detach().clamp(min=1e-30)
        return mmd(x, y, [scale * factor for factor in RELATIVE], unbiased)
    dimensions = x.shape[-1]
    return mmd(x, y, [dimensions * bandwidth for bandwidth in DIMENSIONAL[name]], unbiased)


def _discrepancy(within_x: Tensor, within_y: Tensor, between: Tensor, unbiased: bool) -> Tensor:
    """Return the discrepancy from similarities [..., N, N], [..., M, M] and [..., N, M]."""
    within = _mean_of_pairs(within_x, unbiased) + _mean_of_pairs(within_y, unbiased)
    return within - 2 * between.mean((-2, -1))


def _mean_of_pairs(similarities: Tensor, unbiased: bool) -> Tensor:
    """Return the mean of [..., N, N], without the diagonal if unbiased."""
    if not unbiased:
        return similarities.mean((-2, -1))
    count = similarities.shape[-1]
    apart = 1 - torch.eye(count, device=similarities.device, dtype=similarities.dtype)
    return (similarities * apart).sum((-2, -1)) / max(count * (count - 1), 1)


def _squares(x: Tensor, y: Tensor) -> Tensor:
    """Return |x_i − y_j|², [..., N, M]."""
    return (x[..., :, None, :] - y[..., None, :, :]).square().sum(-1)


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """Return |x_i − y_j|, [..., N, M]; where it is 0, its gradient is 0 too, not NaN."""
    squares = _squares(x, y)
    apart = squares > 0
    return torch.where(apart, squares, 1.0).sqrt() * apart
