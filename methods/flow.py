"""Flow matching: straight paths from noise to data, and how they are followed.

At time 0 there is noise h₀ ~ N(0, σ²), at time 1 data h₁ of variance 1; between them
h_t = t h₁ + (1 − t) h₀, with the velocity h₁ − h₀. Lipman et al. 2023 (arXiv 2210.02747).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Generator, Tensor

END = 1 - 1e-3
"""The latest time in training."""
BASE = 3.0
"""Times in training have a density that is proportional to 3^t."""


def preconditioning(t: Tensor, noise: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return c_skip, c_out and c_in, where v = c_skip h + c_out F(c_in h).

    h_t has variance t² + (1 − t)² σ² = 1/c_in². The regression of the velocity on h_t is c_skip h_t
    with residuals of standard deviation c_out, so that F has inputs and targets of variance 1. As
    in Karras et al. 2022 (arXiv 2206.00364), for straight paths.

    Args:
        t: times of any shape.
        noise: σ.
    """
    into = (t.square() + (1 - t).square() * noise**2).rsqrt()
    skip = (t - (1 - t) * noise**2) * into.square()
    return skip, noise * into, into


def training_times(uniform: Tensor) -> Tensor:
    """Return times in [0, 0.999] with density ∝ 3^t, from uniform numbers."""
    logarithms: Tensor = (1 + (BASE**END - 1) * uniform).log()
    return logarithms / math.log(BASE)


def random_members(teacher: Tensor, count: int, generator: Generator) -> Tensor:
    """Return the outputs [count, B, K] of random members, others for each example.

    Args:
        teacher: outputs of all members [M, B, K].
        count: draws per example.
        generator: for the draws.
    """
    shape, device = (count, teacher.shape[1]), teacher.device
    members = torch.randint(len(teacher), shape, generator=generator, device=device)
    return teacher[members, torch.arange(shape[1], device=device)]


def matching_error(
    velocity: Callable[[Tensor, Tensor], Tensor], data: Tensor, noise: float, generator: Generator
) -> Tensor:
    """Return the mean of |v(h_t, t) − (h₁ − h₀)|² at random times.

    Args:
        velocity: v(h, t) at times t [...].
        data: h₁ [..., D].
        noise: σ.
        generator: for times and noise.
    """
    uniform = torch.rand(data.shape[:-1], generator=generator, device=data.device)
    t = training_times(uniform)
    start = torch.empty_like(data).normal_(0, noise, generator=generator)
    between = t[..., None] * data + (1 - t)[..., None] * start
    error: Tensor = (velocity(between, t) - (data - start)).square().mean()
    return error


def sampling_times(steps: int) -> list[float]:
    """Return the times t_i = (1 − ½^i)/(1 − ½^steps), from 0 to 1."""
    return [(1 - 0.5**i) / (1 - 0.5**steps) for i in range(steps + 1)]


def follow(velocity: Callable[[Tensor, Tensor], Tensor], h: Tensor, steps: int) -> Tensor:
    """Return where paths from h at time 0 are at time 1.

    Heun's method, and Euler's in the last step, as the velocity is not known at time 1.

    Args:
        velocity: v(h, t), with a time [1].
        h: of any shape.
        steps: 2 steps − 1 velocities are computed.
    """
    for start, end in pairwise(sampling_times(steps)):
        first = velocity(h, h.new_tensor([start]))
        ahead = h + (end - start) * first
        if end == 1:
            return ahead
        second = velocity(ahead, h.new_tensor([end]))
        h = h + (end - start) * (first + second) / 2
    return h
