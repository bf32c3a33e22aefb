"""Teachers whose distribution is known: members are random smooth functions of two inputs.

At every input the members' outputs are independent draws of the same distribution, so that the
uncertainties of an infinite ensemble are known; as functions, members are smooth, as networks are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from scipy.special import gammaincinv
from torch import Generator, Tensor

from distillation_bench.methods.predictions import Dirichlet, Prediction
from distillation_bench.methods.tasks import TASKS

CLASSES = 3
FREQUENCIES = 6
"""Pairs of a sine and a cosine in a random function."""
TRUE_MEMBERS = 4000
"""Members whose mixture stands for an infinite ensemble: its errors are about 1 %."""
DEGREES = 2
"""Independent directions in which members of the factor model differ."""
LEAST_GAMMA = 1e-30


def inputs(count: int, seed: int) -> Tensor:
    """Return points [count, 2], uniform on the square from −1 to 1."""
    return torch.rand(count, 2, generator=Generator().manual_seed(seed)) * 2 - 1


def standard_functions(x: Tensor, shape: tuple[int, ...], generator: Generator) -> Tensor:
    """Return random smooth functions of x [N, 2], each N(0, 1) at every input: [*shape, N].

    Σ_j (a_j cos ω_j·x + b_j sin ω_j·x) / √J with a, b ~ N(0, 1) and frequencies ω that are the same
    for all functions.
    """
    fixed = Generator().manual_seed(1)
    angles = x.double() @ (2 * torch.randn(2, FREQUENCIES, generator=fixed).double())
    waves = torch.cat([angles.cos(), angles.sin()], dim=1) / math.sqrt(FREQUENCIES)
    weights = torch.randn(*shape, 2 * FREQUENCIES, generator=generator).double()
    return weights @ waves.T


def _means(x: Tensor) -> Tensor:
    """Return logits [N, C] of three classes that lie around the middle."""
    turns = torch.arange(CLASSES) * 2 * math.pi / CLASSES
    return 2.5 * x.double() @ torch.stack([turns.cos(), turns.sin()]).double()


def _growth(x: Tensor) -> Tensor:
    """Return a scale [N] that grows from ½ to 2 from left to right."""
    return (2 ** x[:, 0].double()).clamp(0.5, 2)


def _concentrations(x: Tensor) -> Tensor:
    return 8 / _growth(x)[:, None].square() * _means(x).softmax(-1) + 0.3


def dirichlet(x: Tensor, count: int, generator: Generator) -> Tensor:
    """Logarithms of Dirichlet probabilities: normalised gammas, from a Gaussian copula."""
    normal = standard_functions(x, (count, CLASSES), generator).mT
    levels = torch.special.ndtr(normal).clamp(1e-12, 1 - 1e-12)
    gammas = torch.from_numpy(gammaincinv(_concentrations(x).numpy(), levels.numpy()))
    return gammas.clamp(min=LEAST_GAMMA).log().log_softmax(-1)


def logit_gaussian(x: Tensor, count: int, generator: Generator) -> Tensor:
    """Independent Gaussian logits, whose deviation depends on the input."""
    noise = standard_functions(x, (count, CLASSES), generator).mT
    return _means(x) + _growth(x)[:, None] * noise


def factors(x: Tensor, count: int, generator: Generator) -> Tensor:
    """Logits μ(x) + Z Φ(x) with Z [C, q] of each member, the model of arXiv 2510.19290."""
    z = torch.randn(count, CLASSES, DEGREES, generator=generator).double()
    directions = torch.stack([1 + 0 * x[:, 1], 2 * x[:, 1]]).double() * _growth(x) / 1.5
    return _means(x) + (z @ directions).mT


def mixture(x: Tensor, count: int, generator: Generator) -> Tensor:
    """Two kinds of members that disagree, each with a little noise."""
    signs = torch.randint(2, (count, 1, 1), generator=generator).double() * 2 - 1
    shift = _growth(x)[:, None] * torch.tensor([1.0, -1.0, 0.0]).double()
    noise = standard_functions(x, (count, CLASSES), generator).mT
    return _means(x) + signs * shift + 0.3 * noise


def gaussians(x: Tensor, count: int, generator: Generator) -> Tensor:
    """Means and log variances that are Gaussian, the deviation of the means as in `_growth`."""
    noise = standard_functions(x, (count, 2), generator).mT
    centre = torch.stack([(3 * x[:, 0]).sin() + x[:, 1], -2 + x[:, 1]], dim=-1).double()
    spread = torch.stack([0.4 * _growth(x), 0.3 + 0 * _growth(x)], dim=-1)
    return centre + spread * noise


def two_regressors(x: Tensor, count: int, generator: Generator) -> Tensor:
    """Two kinds of members whose means differ, each with a little noise."""
    signs = torch.randint(2, (count, 1, 1), generator=generator).double() * 2 - 1
    shift = torch.stack([0.5 * _growth(x), 0 * _growth(x)], dim=-1)
    noise = standard_functions(x, (count, 2), generator).mT
    centre = torch.stack([(3 * x[:, 0]).sin() + x[:, 1], -2 + x[:, 1]], dim=-1).double()
    return centre + signs * shift + 0.1 * noise


@dataclass(frozen=True)
class SyntheticTeacher:
    """A distribution of members.

    Attributes:
        name: in tables.
        task: classification or regression.
        members: returns the outputs [M, N, K] of M members on inputs [N, 2].
    """

    name: str
    task: str
    members: Callable[[Tensor, int, Generator], Tensor]

    def truth(self, x: Tensor) -> Prediction:
        """Return the prediction of an infinite ensemble, or of very many members."""
        if self.members is dirichlet:
            return Dirichlet(_concentrations(x).log())
        members = self.members(x, TRUE_MEMBERS, Generator().manual_seed(999))
        return TASKS[self.task].prediction(members)


TEACHERS = {
    teacher.name: teacher
    for teacher in (
        SyntheticTeacher("Dirichlet", "classification", dirichlet),
        SyntheticTeacher("logit Gaussian", "classification", logit_gaussian),
        SyntheticTeacher("factor model", "classification", factors),
        SyntheticTeacher("mixture", "classification", mixture),
        SyntheticTeacher("Gaussians", "regression", gaussians),
        SyntheticTeacher("two regressors", "regression", two_regressors),
    )
}
"""The teachers by name."""
