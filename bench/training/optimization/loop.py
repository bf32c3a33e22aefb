"""The training loop, the same for students and for batches of teacher members."""

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
from distillation_bench.bench.storage.formats.limits import MAX_NAME_LENGTH
from distillation_bench.bench.training.optimization.checkpoints import (
    FITTED,
    Checkpoint,
    HistoryRow,
)
from distillation_bench.bench.training.optimization.optimizer import Adam
from distillation_bench.methods.base import Group

Indices = Tensor | slice
"""Indices of examples [B] or, batched, [M, B]; a slice for the whole split."""
COLUMNS = ("stage", "epoch", "learning_rate", "gradient_norm", "validation_nll")
"""Columns of the history, besides the loss and its terms."""
VALIDATIONS = 25
"""Epochs of a stage, about, whose loss on the validation split is in the history."""


class NonFinite(ArithmeticError):
    """A loss term or the gradient is not finite; the message names the epoch and the term."""


@dataclass(frozen=True)
class Epoch:
    """The loss of one epoch, and its order of examples.

    Attributes:
        terms: returns the named loss terms of the examples at some indices; each term is a scalar
            or, batched, [M].
        order: returns the order [N] or, batched, [M, N] in which the epoch visits the examples.
        weights: the weight of each term; 1 for a term that is not named.
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
        epoch: returns the epoch of a number, counted from 0.
        validation: returns the NLL on the validation split, [1] or, batched, [M].
        batched: whether the first axis of the parameters counts independent networks.
        groups: parameters with a learning rate or weight decay of their own.
        student: the student that the network is a part of, to be stored in checkpoints too.
        fitted: what the method fitted before, to be stored in checkpoints too.
        predicts: whether `validation` may be called.
    """

    stage: str
    network: nn.Module
    examples: int
    epoch: Callable[[int], Epoch]
    validation: Callable[[], Tensor]
    batched: bool = False
    groups: Sequence[Group] = ()
    student: nn.Module | None = None
    fitted: Mapping[str, Tensor] = field(default_factory=dict)
    predicts: bool = True


def cosine_rate(rate: float, epoch: int, epochs: int) -> float:
    """Return the learning rate of an epoch: half a cosine from `rate` at epoch 0 to 0."""
    return rate * (1 + math.cos(math.pi * epoch / epochs)) / 2


def train_network(
    problem: Problem,
    recipe: Recipe,
    epochs: int,
    decay: float,
    checkpoint: Checkpoint | None = None,
    earlier: Sequence[HistoryRow] = (),
) -> list[HistoryRow]:
    """Train the network of a problem in place.

    Args:
        problem: what is trained.
        recipe: learning rate, batch size, clipping and selection of the epoch.
        epochs: number of epochs.
        decay: weight decay.
        checkpoint: stores the state; training continues from it.
        earlier: the history of the stages before, which is stored in the checkpoint.

    Returns:
        The history of this stage, one row per epoch.

    Raises:
        NonFinite: at the end of the epoch in which a term or the gradient was not finite.
    """
    optimizer = _optimizer(problem, decay, recipe.clip)
    selects = recipe.select == "validation" and problem.predicts
    best = _BestEpoch(problem) if selects else None
    state = _state(problem, optimizer, best)
    history = checkpoint.restore(problem.stage, state) if checkpoint else []
    problem.network.train()
    with postpone_termination() if checkpoint else contextlib.nullcontext():
        for epoch in range(len(history), epochs):
            rate = cosine_rate(recipe.learning_rate, epoch, epochs)
            history.append(_train_epoch(problem, optimizer, recipe.batch_size, epoch, rate))
            if best is not None or _is_validated(problem, epoch, epochs):
                loss = _validation_loss(problem)
                history[-1]["validation_nll"] = loss.mean().item()
                if best is not None:
                    best.update(loss)
            if checkpoint is not None:
                checkpoint.save(state, [*earlier, *history])
    if best is not None and history:
        best.restore()
    problem.network.eval()
    return history


def _is_validated(problem: Problem, epoch: int, epochs: int) -> bool:
    """Whether the loss on the validation split is measured after an epoch, for the history alone.

    It is so in the first, the last and every k-th epoch. A part of a student need not give a
    prediction, so that its loss is measured only if that selects the epoch.
    """
    every = -(-epochs // VALIDATIONS)
    is_due = epoch % every == 0 or epoch == epochs - 1
    return is_due and problem.student is None and problem.predicts


@torch.no_grad()
def _validation_loss(problem: Problem) -> Tensor:
    problem.network.eval()
    loss = problem.validation()
    problem.network.train()
    return loss


def _optimizer(problem: Problem, decay: float, clip: float) -> Adam:
    parameters = [p for p in problem.network.parameters() if p.requires_grad]
    groups = {id(parameter): group for group in problem.groups for parameter in group.parameters}
    of_parameters = [groups.get(id(parameter), Group(())) for parameter in parameters]
    decays = [decay * group.decay for group in of_parameters]
    rates = [group.rate for group in of_parameters]
    return Adam(parameters, decays, clip, problem.batched, rates)


def _state(problem: Problem, optimizer: Adam, best: _BestEpoch | None) -> dict[str, Tensor]:
    """Return the tensors that a checkpoint stores, by name; training changes them in place."""
    parts = {"network": problem.network.state_dict(), "optimizer": optimizer.state()}
    if problem.student is not None:
        parts["student"] = problem.student.state_dict()
    if problem.fitted:
        parts[FITTED] = dict(problem.fitted)
    if best is not None:
        parts["best"] = best.state()
    return {
        f"{part}.{name}": tensor
        for part, tensors in parts.items()
        for name, tensor in tensors.items()
    }


def _train_epoch(
    problem: Problem, optimizer: Adam, batch_size: int, epoch: int, rate: float
) -> HistoryRow:
    """Train for one epoch and return its row of the history.

    Nothing waits for the device before the end of the epoch.
    """
    current = problem.epoch(epoch)
    sizes: list[int] = []
    steps: list[Tensor] = []
    for indices, size in _batches(current, problem.examples, batch_size):
        terms = current.terms(indices)
        if not steps:
            _check_names(terms)
        steps.append(_step(terms, current.weights, optimizer, rate))
        sizes.append(size)
    names = [*terms, "gradient_norm"]
    values = torch.stack(steps)
    _check_finite(values, names, problem.stage, epoch)
    share = torch.tensor(sizes, dtype=torch.float64) / sum(sizes)
    means = dict(zip(names, (share @ values.cpu()).tolist(), strict=True))
    loss = sum(current.weights.get(name, 1.0) * means[name] for name in terms)
    row: HistoryRow = {"stage": problem.stage, "epoch": epoch, "learning_rate": rate, "loss": loss}
    return row | means


def _step(
    terms: Mapping[str, Tensor], weights: Mapping[str, float], optimizer: Adam, rate: float
) -> Tensor:
    """Update the parameters; return the means of the terms and of the gradient norm, [terms + 1].

    Args:
        terms: of the loss.
        weights: of the terms.
        optimizer: of the parameters.
        rate: learning rate.
    """
    loss = sum(weights.get(name, 1.0) * term.sum() for name, term in terms.items())
    assert isinstance(loss, Tensor)
    gradients = torch.autograd.grad(loss, optimizer.parameters, materialize_grads=True)
    norm = optimizer.step(gradients, rate)
    means = [term.detach().mean() for term in terms.values()]
    return torch.stack([*means, norm.mean()]).double()


def _batches(current: Epoch, examples: int, batch_size: int) -> Iterable[tuple[Indices, int]]:
    """Yield the indices of each batch and their number; a slice if one batch holds the split."""
    if examples <= batch_size:
        yield slice(None), examples
        return
    order = current.order()
    for start in range(0, examples, batch_size):
        indices = order[..., start : start + batch_size]
        yield indices, indices.shape[-1]


def _check_names(terms: Iterable[Any]) -> None:
    """Raise ValueError if the terms of a loss can't be columns of the history."""
    for name in terms:
        if (
            not isinstance(name, str)
            or not name.isprintable()
            or not 0 < len(name) <= MAX_NAME_LENGTH
        ):
            raise ValueError("the name of a term of the loss can't be that of a column")
        if name in COLUMNS:
            raise ValueError(f"a term of the loss is called {name!r}, as another column is")


def _check_finite(values: Tensor, names: list[str], stage: str, epoch: int) -> None:
    """Raise NonFinite if a value [steps, names] of an epoch is not finite."""
    finite = values.isfinite()
    if bool(finite.all()):
        return
    step = int((~finite).any(1).nonzero()[0])
    # A bad term makes the gradient bad too, and the gradient comes last: the first is the cause.
    name = next(name for name, ok in zip(names, finite[step].tolist(), strict=True) if not ok)
    label = "gradient" if name == "gradient_norm" else f"term {name!r}"
    value = values[step, names.index(name)].item()
    raise NonFinite(f"{label} is {value} in epoch {epoch}, step {step}, of stage {stage!r}")


class _BestEpoch:
    """The weights of the epoch with the lowest validation loss, for each network of a batch."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._current: dict[str, Tensor] = problem.network.state_dict()
        self._best = {name: tensor.clone() for name, tensor in self._current.items()}
        first = next(problem.network.parameters())
        count = len(first) if problem.batched else 1
        self._lowest = torch.full((count,), torch.inf, device=first.device)

    def state(self) -> dict[str, Tensor]:
        """Return the tensors on which the choice depends, by name; `update` changes them."""
        return {"lowest": self._lowest} | {
            f"kept.{name}": best for name, best in self._best.items()
        }

    @torch.no_grad()
    def update(self, loss: Tensor) -> None:
        """Keep the weights of the networks whose validation loss, [1] or [M], is lower."""
        better = loss < self._lowest
        self._lowest.copy_(torch.where(better, loss, self._lowest))
        for name, best in self._best.items():
            shape = (-1, *[1] * (best.dim() - 1)) if self._problem.batched else ()
            best.copy_(torch.where(better.view(shape), self._current[name], best))

    def restore(self) -> None:
        """Copy the best weights into the network.

        Raises:
            NonFinite: no epoch had a finite validation loss.
        """
        if not bool(self._lowest.isfinite().all()):
            raise NonFinite(f"no finite validation loss in stage {self._problem.stage!r}")
        for name, best in self._best.items():
            self._current[name].copy_(best)
