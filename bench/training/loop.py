"""The one training loop: batches of teacher members and students alike."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from distillation_bench.bench.common.signals import postpone_termination
from distillation_bench.bench.planning.recipe import Recipe
from distillation_bench.bench.storage.formats.schema import LONGEST
from distillation_bench.bench.training.checkpoints import Checkpoint, HistoryRow
from distillation_bench.bench.training.optimizer import Adam

Indices = Tensor | slice
COLUMNS = ("stage", "epoch", "learning_rate", "gradient_norm", "validation")
"""Of the history, beside the loss and its terms."""


class NonFinite(ArithmeticError):
    """A loss term or the gradient is no longer a number; the message names epoch and term."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch minimises.

    Attributes:
        terms: named loss terms of the examples at some indices, [B] or, batched, [M, B]; each a
            scalar or, batched, [M].
        order: the order [N] or [M, N] in which the epoch visits the examples.
        weights: the weight of each term; 1 where none is given.
    """

    terms: Callable[[Indices], Mapping[str, Tensor]]
    order: Callable[[], Tensor]
    weights: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """What is trained.

    Attributes:
        stage: its name in the history.
        network: the module whose parameters are trained.
        examples: number of training examples.
        epoch: the epoch of a number, counted from 0.
        validation: loss on the validation split, [1] or [M]; asked only to select an epoch.
        batched: whether the parameters' first axis counts independent networks.
        undecayed: parameters without weight decay.
        student: the whole that the network may be a part of, for checkpoints.
    """

    stage: str
    network: nn.Module
    examples: int
    epoch: Callable[[int], Epoch]
    validation: Callable[[], Tensor]
    batched: bool = False
    undecayed: Iterable[nn.Parameter] = field(default=())
    student: nn.Module | None = None


def cosine_rate(rate: float, epoch: int, epochs: int) -> float:
    """Half a cosine from `rate` at epoch 0 to 0 at the end."""
    return rate * (1 + math.cos(math.pi * epoch / epochs)) / 2


def train(
    problem: Problem,
    recipe: Recipe,
    epochs: int,
    decay: float,
    checkpoint: Checkpoint | None = None,
    earlier: Sequence[HistoryRow] = (),
) -> list[HistoryRow]:
    """Train in place; one row of the history an epoch.

    Args:
        problem: what is trained.
        recipe: how.
        epochs: how long.
        decay: weight decay.
        checkpoint: where the state is kept, and gone on from.
        earlier: the history of the stages before.

    Raises:
        NonFinite: with the epoch and the term, at the end of the epoch in which it happened.
    """
    parameters = [p for p in problem.network.parameters() if p.requires_grad]
    free = {id(parameter) for parameter in problem.undecayed}
    decays = [0.0 if id(parameter) in free else decay for parameter in parameters]
    optimizer = Adam(parameters, decays, recipe.clip, problem.batched)
    best = _Best(problem) if recipe.select == "validation" else None
    parts = {"network": problem.network.state_dict(), "optimizer": optimizer.state()}
    parts |= {"student": problem.student.state_dict()} if problem.student is not None else {}
    parts |= {"best": best.state()} if best else {}
    state = {f"{part}.{name}": each for part in parts for name, each in parts[part].items()}
    history = checkpoint.restore(problem.stage, state) if checkpoint else []
    problem.network.train()
    with postpone_termination() if checkpoint else contextlib.nullcontext():
        for epoch in range(len(history), epochs):
            rate = cosine_rate(recipe.learning_rate, epoch, epochs)
            history.append(_epoch(problem, optimizer, parameters, recipe.batch_size, epoch, rate))
            if best is not None:
                history[-1]["validation"] = best.keep()
            if checkpoint is not None:
                checkpoint.keep(state, [*earlier, *history])
    if best is not None and history:
        best.restore()
    problem.network.eval()
    return history


def _epoch(
    problem: Problem,
    optimizer: Adam,
    parameters: list[nn.Parameter],
    batch_size: int,
    epoch: int,
    rate: float,
) -> HistoryRow:
    current = problem.epoch(epoch)
    weights = current.weights
    sizes: list[int] = []
    steps: list[Tensor] = []
    for indices, size in _batches(current, problem.examples, batch_size):
        terms = current.terms(indices)
        if not steps:
            _check_names(terms)
        loss = sum(weights.get(name, 1.0) * term.sum() for name, term in terms.items())
        assert isinstance(loss, Tensor)
        gradients = torch.autograd.grad(loss, parameters, materialize_grads=True)
        norm = optimizer.step(gradients, rate)
        means = [term.detach().mean() for term in terms.values()]
        steps.append(torch.stack([*means, norm.mean()]).double())
        sizes.append(size)
    names = [*terms, "gradient_norm"]
    values = torch.stack(steps)
    _check_finite(values, names, problem.stage, epoch)
    share = torch.tensor(sizes, dtype=torch.float64) / sum(sizes)
    means_of_epoch = dict(zip(names, (share @ values.cpu()).tolist(), strict=True))
    total = sum(weights.get(name, 1.0) * means_of_epoch[name] for name in terms)
    start: HistoryRow = {
        "stage": problem.stage,
        "epoch": epoch,
        "learning_rate": rate,
        "loss": total,
    }
    return start | means_of_epoch


def _batches(current: Epoch, examples: int, batch_size: int) -> Iterable[tuple[Indices, int]]:
    if examples <= batch_size:
        yield slice(None), examples
        return
    order = current.order()
    for start in range(0, examples, batch_size):
        indices = order[..., start : start + batch_size]
        yield indices, indices.shape[-1]


def _check_names(terms: Iterable[Any]) -> None:
    """Whether the terms of a loss can be columns of the history."""
    for name in terms:
        if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= LONGEST:
            raise ValueError("the name of a term of the loss can't be that of a column")
        if name in COLUMNS:
            raise ValueError(f"a term of the loss is called {name!r}, as another column is")


def _check_finite(values: Tensor, names: list[str], stage: str, epoch: int) -> None:
    finite = values.isfinite()
    if bool(finite.all()):
        return
    step = int((~finite).any(1).nonzero()[0])
    bad = [name for name, ok in zip(names, finite[step].tolist(), strict=True) if not ok]
    # A bad term makes the gradient bad too: name the cause.
    name = bad[0]
    shown = "gradient" if name == "gradient_norm" else f"term {name!r}"
    value = values[step, names.index(name)].item()
    raise NonFinite(f"{shown} is {value} in epoch {epoch}, step {step}, of stage {stage!r}")


class _Best:
    """The state of the epoch that was best on validation, for each network of a batch."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.current: dict[str, Tensor] = problem.network.state_dict()
        self.kept = {name: tensor.clone() for name, tensor in self.current.items()}
        first = next(problem.network.parameters())
        count = len(first) if problem.batched else 1
        self.lowest = torch.full((count,), torch.inf, device=first.device)

    def state(self) -> dict[str, Tensor]:
        """What the choice depends on, by name; the live tensors."""
        return {"lowest": self.lowest} | {f"kept.{name}": kept for name, kept in self.kept.items()}

    @torch.no_grad()
    def keep(self) -> float:
        self.problem.network.eval()
        loss = self.problem.validation()
        self.problem.network.train()
        better = loss < self.lowest
        self.lowest.copy_(torch.where(better, loss, self.lowest))
        for name, kept in self.kept.items():
            shape = (-1, *[1] * (kept.dim() - 1)) if self.problem.batched else ()
            kept.copy_(torch.where(better.view(shape), self.current[name], kept))
        return loss.mean().item()

    def restore(self) -> None:
        if not bool(self.lowest.isfinite().all()):
            raise NonFinite(f"no finite validation loss in stage {self.problem.stage!r}")
        for name, kept in self.kept.items():
            self.current[name].copy_(kept)
