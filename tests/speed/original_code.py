"""Training steps of the original code (arXiv 2205.09526), without its histograms of weights.

Default layout, float32, members and heads in Python loops, weight decay as a term of the loss,
every term read back each step. Batches are in memory: loading them is not measured.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from tests.speed.measure import JOBS, timed
from tests.speed.usual import lenet
from torch import Tensor, nn
from torch.nn import functional

from distillation_bench.methods.hydra_plus import diversity
from distillation_bench.methods.tasks import TASKS

SHAPE = (3, 32, 32)
TASK = TASKS["classification"]


class _Step:
    """Steps on one batch: images × networks a second, where a student is one network."""

    counted = 1

    def __init__(self, network: nn.Module, batch: int, steps: int, decay: float) -> None:
        self.network = network
        self.steps = steps
        self.decay = decay
        self.x, self.y = torch.randn(batch, *SHAPE), torch.arange(batch) % 10
        self.optimizer = torch.optim.Adam(network.parameters(), lr=0.001)
        self.step()

    def rate(self) -> float:
        torch.set_num_threads(JOBS)
        return self.counted * len(self.x) * self.steps / timed(self.run)

    def run(self) -> None:
        for _ in range(self.steps):
            self.step()

    def step(self) -> None:
        outputs, terms, loss = self.losses()
        squares = [parameter.square().sum() for parameter in self.network.parameters()]
        decay = 0.5 * self.decay * torch.stack(squares).sum()
        loss = loss + decay
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        mean = outputs.detach().softmax(-1).mean(0)
        error = (mean.argmax(1) != self.y).double().mean()
        entropy = -(mean * mean.log()).sum(1).mean()
        for value in (*terms, decay, loss, norm, error, entropy):
            value.item()

    def losses(self) -> tuple[Tensor, Sequence[Tensor], Tensor]:
        """Outputs, the terms of the loss, and their weighted sum."""
        raise NotImplementedError


class ResNetTeacher(_Step):
    """All members on one batch."""

    def __init__(self, members: int, batch: int, steps: int) -> None:
        self.members = nn.ModuleList(resnet() for _ in range(members))
        self.counted = members
        super().__init__(self.members, batch, steps, 1e-4)

    def losses(self) -> tuple[Tensor, Sequence[Tensor], Tensor]:
        outputs = torch.stack([member(self.x) for member in self.members])
        losses = TASK.losses(outputs, self.y)
        return outputs, [losses.mean()], losses.sum()


class HydraPlusLeNet(_Step):
    """Each head on a copy of the core's features; the whole teacher run again in every step."""

    def __init__(self, heads: int, batch: int, steps: int) -> None:
        self.core = lenet(3, (128, 32), ())
        self.heads = nn.ModuleList(_head() for _ in range(heads))
        self.teacher = [lenet(3, (32, 64), (128,)) for _ in range(heads)]
        super().__init__(nn.ModuleList([self.core, self.heads]), batch, steps, 1e-7)

    def losses(self) -> tuple[Tensor, Sequence[Tensor], Tensor]:
        with torch.no_grad():
            taught = torch.stack([member(self.x) for member in self.teacher])
        features = self.core(self.x)
        copies = features.repeat(len(self.heads), 1, 1)
        outputs = torch.stack([head(x) for head, x in zip(self.heads, copies, strict=True)])
        layers = zip(*(head.parameters() for head in self.heads), strict=True)
        stacks = [torch.stack(layer) for layer in layers]
        rows = [stack.reshape(*stack.shape[:2], -1) for stack in stacks]
        terms = [
            TASK.correctness(outputs, self.y),
            TASK.aggregation(outputs, taught),
            TASK.individuality(outputs, taught, 5.0),
            diversity(rows, normalise=False),
        ]
        weights = (0.05, 0.095, 0.855, 5e-4)
        loss = torch.stack([w * term for w, term in zip(weights, terms, strict=True)]).sum()
        return outputs, terms, loss


def _head() -> nn.Sequential:
    dense = [nn.Linear(512, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU()]
    return nn.Sequential(*dense, nn.Linear(128, 10))


def resnet() -> nn.Sequential:
    """A member: two blocks of each of four stages."""
    layers: list[nn.Module] = [nn.Conv2d(3, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32)]
    layers.append(nn.ReLU())
    inputs = 32
    for planes in (32, 64, 128, 256):
        layers += [_Block(inputs, planes, 1 if planes == 32 else 2), _Block(planes, planes, 1)]
        inputs = planes
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10))


class _Block(nn.Module):
    def __init__(self, inputs: int, planes: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, planes, 3, stride, padding=1, bias=False)
        self.second = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(planes) for _ in range(2))
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != planes:
            convolution = nn.Conv2d(inputs, planes, 1, stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(planes))

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.norms[0](self.first(x)))
        return functional.relu(self.norms[1](self.second(inner)) + self.shortcut(x))
