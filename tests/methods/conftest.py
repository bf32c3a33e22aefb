"""Settings and random numbers to build methods with, and the papers' loss terms as loops."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import count

import pytest
import torch
from torch import Tensor, nn

from distillation_bench.methods import Batch, InputRange, Setting
from distillation_bench.methods.networks import network_builder
from distillation_bench.methods.tasks import TASKS

Row = Sequence[float]
Part = Sequence[float]
"""A class distribution (list of probabilities) or a Gaussian (mean, variance)."""


def softmax(logits: Row, temperature: float = 1.0) -> list[float]:
    scaled = [value / temperature for value in logits]
    weights = [math.exp(value - max(scaled)) for value in scaled]
    return [weight / sum(weights) for weight in weights]


class PlainClassification:
    """One output row is a class distribution; losses carry T²."""

    def part(self, row: Row, temperature: float) -> Part:
        return softmax(row, temperature)

    def mixture(self, parts: Sequence[Part]) -> Part:
        return [sum(column) / len(parts) for column in zip(*parts, strict=True)]

    def kl(self, p: Part, q: Part) -> float:
        return math.fsum(a * math.log(a / b) for a, b in zip(p, q, strict=True))

    def nll(self, part: Part, y: float) -> float:
        return -math.log(part[int(y)])

    def scale(self, temperature: float) -> float:
        return temperature**2


class PlainRegression:
    """One output row is a Gaussian's mean and log variance; a temperature means nothing."""

    def part(self, row: Row, temperature: float) -> Part:
        mean, log_variance = row
        return mean, math.exp(log_variance)

    def mixture(self, parts: Sequence[Part]) -> Part:
        mean = sum(m for m, _ in parts) / len(parts)
        return mean, sum(v + m**2 for m, v in parts) / len(parts) - mean**2

    def kl(self, p: Part, q: Part) -> float:
        (p_mean, p_variance), (q_mean, q_variance) = p, q
        spread = (p_variance + (p_mean - q_mean) ** 2) / (2 * q_variance)
        return math.log(math.sqrt(q_variance / p_variance)) + spread - 0.5

    def nll(self, part: Part, y: float) -> float:
        mean, variance = part
        return 0.5 * math.log(2 * math.pi * variance) + (y - mean) ** 2 / (2 * variance)

    def scale(self, temperature: float) -> float:
        return 1.0


class Plain:
    """L1, L2 and L3 of Ferianc & Rodrigues (arXiv 2205.09526), one example and head at a time."""

    def __init__(self, kind: PlainClassification | PlainRegression) -> None:
        self.kind = kind

    def correctness(self, outputs: Tensor, y: Tensor) -> float:
        losses = [
            self.kind.nll(self.kind.part(row, 1.0), target)
            for head, targets in zip(
                outputs.tolist(), y.expand(outputs.shape[:2]).tolist(), strict=True
            )
            for row, target in zip(head, targets, strict=True)
        ]
        return sum(losses) / len(losses)

    def aggregation(self, outputs: Tensor, teacher: Tensor, temperature: float = 1.0) -> float:
        losses = []
        for example in range(outputs.shape[1]):
            mixtures = [
                self.kind.mixture(
                    [self.kind.part(row, temperature) for row in side[:, example].tolist()]
                )
                for side in (teacher, outputs)
            ]
            losses.append(self.kind.kl(*mixtures))
        return self.kind.scale(temperature) * sum(losses) / len(losses)

    def individuality(self, outputs: Tensor, teacher: Tensor, temperature: float = 1.0) -> float:
        losses = []
        for pair in range(max(len(outputs), len(teacher))):
            member, head = teacher[pair % len(teacher)], outputs[pair % len(outputs)]
            for row, head_row in zip(member.tolist(), head.tolist(), strict=True):
                p, q = self.kind.part(row, temperature), self.kind.part(head_row, temperature)
                losses.append(self.kind.kl(p, q))
        return self.kind.scale(temperature) * sum(losses) / len(losses)


@pytest.fixture(scope="session")
def plain() -> Mapping[str, Plain]:
    """Return, by task, the loss terms as loops over examples, heads and pairs."""
    return {
        "classification": Plain(PlainClassification()),
        "regression": Plain(PlainRegression()),
    }


@pytest.fixture
def draw() -> Callable[..., Tensor]:
    """draw(3, 4, scale=2.0): Gaussian numbers in float64, others at every call of a test."""
    calls = count()

    def tensor(*shape: int, scale: float = 1.0) -> Tensor:
        generator = torch.Generator().manual_seed(next(calls))
        return scale * torch.randn(shape, generator=generator, dtype=torch.float64)

    return tensor


@pytest.fixture
def targets(draw: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """targets("classification", 2, 5): classes out of 4, or numbers."""

    def tensor(task: str, *shape: int) -> Tensor:
        numbers = draw(*shape)
        return (numbers.abs() * 100).long() % 4 if task == "classification" else numbers

    return tensor


@pytest.fixture(scope="session")
def setting() -> Callable[..., Setting]:
    """A small problem: 3 inputs, 4 classes or a Gaussian, a core of 5 features."""

    def make(
        task: str = "classification",
        members: int = 3,
        examples: int = 60,
        outputs: int = 4,
        head: Sequence[int] = (),
    ) -> Setting:
        described = {"family": "mlp", "member": [6], "core": [5], "head": list(head)}
        outputs = outputs if task == "classification" else 2
        networks = network_builder(described, (3,), outputs)

        inputs = InputRange(torch.full((3,), -3.0), torch.full((3,), 3.0))

        def teacher() -> nn.Module:
            return networks.members([torch.Generator().manual_seed(m) for m in range(members)])

        return Setting(TASKS[task], members, examples, networks, inputs, teacher)

    return make


@pytest.fixture
def batch(draw: Callable[..., Tensor], targets: Callable[..., Tensor]) -> Callable[..., Batch]:
    """Seven examples with outputs of a teacher, in float64."""

    def make(setting: Setting, network: nn.Module, stage: str = "train") -> Batch:
        outputs = draw(setting.members, 7, setting.networks.outputs)
        x, y, noise = draw(7, 3), targets(setting.task.name, 7), torch.Generator()
        members = setting.teacher().double()
        return Batch(x, y, outputs, network.double(), stage, noise, members, network)

    return make


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(20240229)
