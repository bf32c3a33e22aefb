"""Points that fill the unit cube more evenly than random ones, as common random numbers."""

from __future__ import annotations

import torch
from torch import Tensor

SEED = 0
"""Of the scrambling, so that the points are the same for all inputs, methods and machines."""


def uniform_points(count: int, dimensions: int, device: torch.device) -> Tensor:
    """Return points [count, dimensions] within (0, 1): a scrambled Sobol sequence.

    A power of two is the best count. Sobol 1967; scrambled as in Matoušek 1998.
    """
    engine = torch.quasirandom.SobolEngine(dimensions, scramble=True, seed=SEED)  # type: ignore[no-untyped-call]
    points: Tensor = engine.draw(count, dtype=torch.float64)
    # Scrambled points are multiples of 2⁻³⁰, and may be 0.
    return (points + 2.0**-31).to(device)


def normal_points(count: int, dimensions: int, device: torch.device) -> Tensor:
    """Return points [count, dimensions] distributed as N(0, I), from `uniform_points`."""
    points: Tensor = torch.special.ndtri(uniform_points(count, dimensions, device))
    return points.float()
